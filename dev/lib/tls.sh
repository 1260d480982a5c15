# shellcheck shell=bash
# Certificates for the TLS listeners: a CA, one server and one client, made anew
# when they are missing or about to expire. They protect nothing.

tls_password=sluice-dev

# tls_files makes $stack_dir/tls/{ca,server,client}.{pem,key} and the stores the
# Java servers read: server.p12, trust.p12.
tls_files() {
	local tls=$stack_dir/tls
	if [ -f "$tls/trust.p12" ] && openssl x509 -checkend 604800 -noout -in "$tls/server.pem" >/dev/null; then
		return
	fi
	rm -rf "$tls" "$tls.part"
	mkdir -p "$tls.part"
	(
		cd "$tls.part"
		openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj "/CN=sluice dev CA" \
			-keyout ca.key -out ca.pem
		tls_sign server "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:127.0.0.2,IP:127.0.0.3,IP:127.0.0.11,IP:127.0.0.12"
		tls_sign client "extendedKeyUsage=clientAuth"
		openssl pkcs12 -export -name server -in server.pem -inkey server.key -certfile ca.pem \
			-passout "pass:$tls_password" -out server.p12
		"$keytool" -importcert -noprompt -alias ca -file ca.pem \
			-storetype PKCS12 -storepass "$tls_password" -keystore trust.p12
	) >"$tls.part/log" 2>&1 || { cat "$tls.part/log" >&2; die "making certificates failed"; }
	mv "$tls.part" "$tls"
}

# tls_sign NAME EXTENSION makes NAME.key and NAME.pem in the current folder.
tls_sign() {
	openssl req -newkey rsa:2048 -nodes -subj "/CN=sluice dev $1" -keyout "$1.key" -out "$1.csr"
	printf '%s\n' "$2" >"$1.ext"
	openssl x509 -req -days 30 -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial \
		-extfile "$1.ext" -out "$1.pem"
	rm "$1.csr" "$1.ext"
}
