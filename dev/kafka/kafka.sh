# shellcheck shell=bash
# Kafka 4.1 in KRaft mode, every node broker and controller at once.

kafka_download() { download kafka; }

# kafka_number NODE → its broker id: the number behind the dash, otherwise 1.
kafka_number() {
	case $1 in
	*-*) echo "${1##*-}" ;;
	*) echo 1 ;;
	esac
}

# kafka_port NODE → its PLAINTEXT port; the others follow from it.
kafka_port() {
	case $1 in
	kafka1) echo 19092 ;;
	*) echo $((29091 + $(kafka_number "$1"))) ;;
	esac
}

kafka_address() { echo "127.0.0.1:$(kafka_port "$1")"; }

# kafka_up PROFILE [NODE…] starts the nodes and waits until all of the profile's
# that run know each other and have a leader among the controllers.
kafka_up() {
	local profile=$1 node
	shift
	[ "$profile" != kafka1 ] || locked tls tls_files
	for node in "$@"; do kafka_start "$profile" "$node"; done
	for node in $(nodes "$profile"); do
		if running "$node"; then until_ok "$node" "answered" kafka_answers "$node"; fi
	done
	for node in $(nodes "$profile"); do
		if running "$node"; then until_ok "$node" "joined" kafka_joined "$profile" "$node"; fi
	done
}

kafka_start() {
	local profile=$1 node=$2
	local data=$stack_dir/data/$node
	local classpath
	classpath="$(jars_of kafka)/*"
	vacant "$node" "$(kafka_address "$node")"
	mkdir -p "$data"
	kafka_config "$profile" "$node" >"$data/server.properties"
	if [ ! -f "$data/log/meta.properties" ]; then
		"$java" -Xmx128m -cp "$classpath" kafka.tools.StorageTool format \
			--cluster-id "$(kafka_cluster_id "$profile")" --config "$data/server.properties" \
			--add-scram 'SCRAM-SHA-256=[name=sluice,password=sluice-secret]' \
			--add-scram 'SCRAM-SHA-512=[name=sluice,password=sluice-secret]' \
			>"$data/format.log" 2>&1 9>&- || { cat "$data/format.log" >&2; die "$node: formatting failed"; }
	fi
	local heap=512m
	[ "$profile" = kafka1 ] || heap=384m
	launch "$node" -Xms128m "-Xmx$heap" -XX:+UseG1GC -XX:+ExitOnOutOfMemoryError \
		-Dlog4j2.configurationFile="$dev/kafka/log4j2.properties" \
		-cp "$classpath" kafka.Kafka "$data/server.properties"
}

# kafka_cluster_id PROFILE → 22 characters of URL-safe base64, as Kafka wants
# them. Fixed: the nodes of a profile are formatted one by one.
kafka_cluster_id() { printf 'sluice-%-9s' "$1" | tr ' ' - | openssl base64 | tr '+/' '-_' | tr -d '='; }

kafka_config() {
	local profile=$1 node=$2 port
	port=$(kafka_port "$node")
	case $profile in
	kafka1)
		fill "$dev/kafka/server.properties" id=1 data="$stack_dir/data/$node" \
			listeners="PLAINTEXT://127.0.0.1:19092,SASL://127.0.0.1:19093,TLS://127.0.0.1:19094,SASL_TLS://127.0.0.1:19095,CONTROLLER://127.0.0.1:19096" \
			advertised="PLAINTEXT://127.0.0.1:19092,SASL://127.0.0.1:19093,TLS://127.0.0.1:19094,SASL_TLS://127.0.0.1:19095" \
			voters=1@127.0.0.1:19096 replicas=1 in_sync=1
		fill "$dev/kafka/secure.properties" tls="$stack_dir/tls" password="$tls_password"
		;;
	kafka3)
		fill "$dev/kafka/server.properties" id="$(kafka_number "$node")" data="$stack_dir/data/$node" \
			listeners="PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$((port + 10))" \
			advertised="PLAINTEXT://127.0.0.1:$port" \
			voters=1@127.0.0.1:29102,2@127.0.0.1:29103,3@127.0.0.1:29104 replicas=3 in_sync=2
		;;
	esac
}

# kafka_answers NODE: it takes a connection, says which requests it knows
# (ApiVersions) and gives metadata.
kafka_answers() { kafka_metadata "$1" >/dev/null; }

kafka_metadata() {
	timeout 10 kcat -b "$(kafka_address "$1")" -m 5 -L 2>/dev/null 9>&-
}

# kafka_joined PROFILE NODE: the brokers NODE names are all those that run.
kafka_joined() {
	local node metadata
	metadata=$(kafka_metadata "$2") || return 1
	for node in $(nodes "$1"); do
		! running "$node" || grep -q " at $(kafka_address "$node")" <<<"$metadata" || return 1
	done
	grep -q '(controller)' <<<"$metadata"
}

# kafka_topics PROFILE ARGUMENT… is Kafka's own kafka-topics.sh.
kafka_topics() {
	local profile=$1 node
	shift
	for node in $(nodes "$profile"); do
		if running "$node"; then
			"$java" -Xmx64m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
				-Dlog4j2.configurationFile="$dev/kafka/log4j2.properties" -Dsluice.log.level=warn \
				-cp "$(jars_of kafka)/*" org.apache.kafka.tools.TopicCommand \
				--bootstrap-server "$(kafka_address "$node")" "$@"
			return
		fi
	done
	die "$profile is not running"
}

kafka_env() {
	case $1 in
	kafka1)
		cat <<-TEXT
			export SLUICE_KAFKA1=127.0.0.1:19092
			export SLUICE_KAFKA1_SASL=127.0.0.1:19093
			export SLUICE_KAFKA1_TLS=127.0.0.1:19094
			export SLUICE_KAFKA1_SASL_TLS=127.0.0.1:19095
			export SLUICE_KAFKA1_USER=sluice
			export SLUICE_KAFKA1_PASSWORD=sluice-secret
			export SLUICE_KAFKA1_CA='$stack_dir/tls/ca.pem'
			export SLUICE_KAFKA1_CERT='$stack_dir/tls/client.pem'
			export SLUICE_KAFKA1_KEY='$stack_dir/tls/client.key'
		TEXT
		;;
	kafka3) echo "export SLUICE_KAFKA3=127.0.0.1:29092,127.0.0.1:29093,127.0.0.1:29094" ;;
	esac
}
