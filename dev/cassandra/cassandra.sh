# shellcheck shell=bash
# Cassandra 5.0, each node on a loopback address of its own, all on port 9042.

cassandra_download() { download cassandra; }

cassandra_address() { echo "$(cassandra_ip "$1"):9042"; }

cassandra_ip() {
	case $1 in
	cassandra1) echo 127.0.0.11 ;;
	cassandra-auth) echo 127.0.0.12 ;;
	*) echo "127.0.0.${1##*-}" ;;
	esac
}

# cassandra_jmx NODE → its JMX port, which nodetool uses; always on 127.0.0.1.
cassandra_jmx() { echo $((27190 + $(cassandra_ip "$1" | cut -d. -f4))); }

# cassandra_up PROFILE [NODE…] starts the nodes one after the other, as
# Cassandra wants it, and waits until every node that runs sees all of them up
# and none of them down that is not.
cassandra_up() {
	local profile=$1 node
	shift
	[ "$profile" != cassandra-auth ] || locked tls tls_files
	for node in "$@"; do
		cassandra_start "$profile" "$node"
		until_ok "$node" "answered" cassandra_answers "$node"
	done
	for node in $(nodes "$profile"); do
		if running "$node"; then
			until_ok "$node" "answered" cassandra_answers "$node"
			[ "$profile" != cassandra3 ] || until_ok "$node" "seen the others" cassandra_sees "$profile" "$node"
		fi
	done
}

cassandra_start() {
	local profile=$1 node=$2
	local data=$stack_dir/data/$node jars
	jars=$(jars_of cassandra)
	vacant "$node" "$(cassandra_address "$node")"
	mkdir -p "$data"
	cassandra_config "$profile" "$node" >"$data/cassandra.yaml"
	launch "$node" -Xms512m -Xmx512m -Xss256k -XX:+UseSerialGC -XX:+ExitOnOutOfMemoryError -XX:+PerfDisableSharedMem \
		"-javaagent:$(echo "$jars"/jamm-*.jar)" "@$dev/cassandra/java17.options" \
		-Dcassandra.config="file://$data/cassandra.yaml" \
		-Dcassandra.storagedir="$data" \
		-Dcassandra.jmx.local.port="$(cassandra_jmx "$node")" \
		-Dlogback.configurationFile="file://$dev/cassandra/logback.xml" \
		-cp "$jars/*" org.apache.cassandra.service.CassandraDaemon
}

cassandra_config() {
	local profile=$1 node=$2 seed
	seed=$(cassandra_ip "$(nodes "$profile" | cut -d' ' -f1)")
	fill "$dev/cassandra/cassandra.yaml" cluster="sluice $profile" data="$stack_dir/data/$node" \
		seed="$seed" address="$(cassandra_ip "$node")"
	if [ "$profile" = cassandra-auth ]; then
		fill "$dev/cassandra/secure.yaml" tls="$stack_dir/tls" password="$tls_password"
	fi
}

# cassandra_answers NODE: it lets us in and answers a query.
cassandra_answers() {
	local -a login=()
	[ "$1" != cassandra-auth ] || login=(cassandra cassandra)
	python3 "$dev/cassandra/answers.py" "$(cassandra_ip "$1")" 9042 "${login[@]}" 2>/dev/null 9>&-
}

# cassandra_sees PROFILE NODE: for NODE every node that runs is up and normal,
# and every other is down: what it believes is what is so.
cassandra_sees() {
	local node status expected
	status=$(cassandra_nodetool "$2" status 2>/dev/null) || return 1
	for node in $(nodes "$1"); do
		if running "$node"; then expected=UN; else expected=DN; fi
		if ! grep -q "^$expected *$(cassandra_ip "$node") " <<<"$status"; then
			# A node that has never been started is not in the ring at all.
			[ $expected = DN ] && ! grep -q " $(cassandra_ip "$node") " <<<"$status" || return 1
		fi
	done
}

# cassandra_nodetool NODE ARGUMENT…; its history file stays in the stack's folder.
cassandra_nodetool() {
	local node=$1
	shift
	mkdir -p "$stack_dir/run/home"
	timeout 30 "$java" "@$dev/cassandra/java17.options" -Xmx64m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:+PerfDisableSharedMem \
		-Duser.home="$stack_dir/run/home" \
		-Dlogback.configurationFile="file://$dev/cassandra/logback.xml" \
		-cp "$(jars_of cassandra)/*" org.apache.cassandra.tools.NodeTool \
		-h 127.0.0.1 -p "$(cassandra_jmx "$node")" "$@" 9>&-
}

cassandra_env() {
	case $1 in
	cassandra1) echo "export SLUICE_CASSANDRA1=127.0.0.11:9042" ;;
	cassandra3) echo "export SLUICE_CASSANDRA3=127.0.0.1:9042,127.0.0.2:9042,127.0.0.3:9042" ;;
	cassandra-auth)
		cat <<-TEXT
			export SLUICE_CASSANDRA_AUTH=127.0.0.12:9042
			export SLUICE_CASSANDRA_AUTH_USER=cassandra
			export SLUICE_CASSANDRA_AUTH_PASSWORD=cassandra
			export SLUICE_CASSANDRA_AUTH_CA='$stack_dir/tls/ca.pem'
		TEXT
		;;
	esac
}
