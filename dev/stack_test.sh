#!/usr/bin/env bash
# Tests dev/stack on the real servers, in a folder of its own:
#
#     dev/stack_test.sh [kafka1|kafka3|cassandra1|cassandra3|cassandra-auth …]
#
# A profile that is already up (in any folder) would be in the way of its ports:
# stop it first. The downloads of the ordinary folder are used.
set -euo pipefail

dev=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ordinary=${SLUICE_STACK_DIR:-$(dirname "$dev")/.cache/stack}
dir=$(mktemp -d "${TMPDIR:-/tmp}/sluice-stack-test.XXXXXX")
export SLUICE_STACK_DIR=$dir
mkdir -p "$ordinary/jars"
ln -s "$ordinary/jars" "$dir/jars"
trap '"$dev/stack" down >/dev/null 2>&1; rm -rf "$dir"' EXIT

stack() { "$dev/stack" "$@" 2>"$dir/stderr" || { local rc=$?; cat "$dir/stderr" >&2; return $rc; }; }
fail() { printf 'FAIL: %s\n' "$*" >&2; exit 1; }
ok() { printf 'ok: %s\n' "$*"; }

# up_nodes PROFILE → how many of its nodes answer.
up_nodes() { "$dev/stack" status "$1" | grep -c ' up ' || true; }
pids() { cat "$dir"/run/*.pid 2>/dev/null | sort; }

expect_up() { [ "$(up_nodes "$1")" = "$2" ] || fail "$1: want $2 nodes up: $("$dev/stack" status "$1")"; }

test_misuse() {
	local args
	for args in "up" "up nonsense" "kill" "kill kafka3" "start kafka1-1" "frobnicate"; do
		# shellcheck disable=SC2086
		if "$dev/stack" $args >/dev/null 2>&1; then fail "\"$args\" is accepted"; fi
		[ -z "$(pids)" ] || fail "\"$args\" started something"
	done
	"$dev/stack" down || fail "down with nothing up is not a mistake"
	ok "misuse is refused"
}

test_profile() {
	local profile=$1 size=$2 before
	stack up "$profile" &
	stack up "$profile" || fail "$profile: up"
	wait $! || fail "$profile: a second up at the same time"
	expect_up "$profile" "$size"
	[ "$(pids | wc -l)" = "$size" ] || fail "$profile: two ups started more than $size processes"
	ok "$profile: two ups at once start it once"

	before=$(pids)
	stack up "$profile"
	[ "$(pids)" = "$before" ] || fail "$profile: up restarted what was up"
	ok "$profile: up again changes nothing"

	stack env "$profile" >"$dir/env"
	bash -euc ". '$dir/env'" || fail "$profile: env cannot be sourced"
}

# A killed node is seen as down, comes back by start, and has its data.
test_node() {
	local profile=$1 node=$2 size=$3 others=$(($3 - 1))
	"write_$profile"
	stack kill "$node"
	expect_up "$profile" $others
	if "$dev/stack" status "$profile" >/dev/null; then fail "status of a mutilated $profile is 0"; fi
	stack start "$node"
	expect_up "$profile" "$size"
	"read_$profile" || fail "$node: lost its data in a crash"
	stack stop "$node"
	expect_up "$profile" $others
	stack start "$node"
	"read_$profile" || fail "$node: lost its data in a stop"
	ok "$profile: kill, stop and start of $node"
}

# A pid file that now names another process is nobody's to kill.
test_strange_pid() {
	sleep 300 &
	local other=$!
	mkdir -p "$dir/run"
	echo $other >"$dir/run/kafka1.pid"
	stack down kafka1
	kill -0 $other 2>/dev/null || fail "down killed a process that it did not start"
	kill $other
	wait $other 2>/dev/null || true
	ok "a strange pid is left alone"
}

test_down() {
	local profile=$1 all pid
	all=$(pids)
	stack down "$profile"
	[ -z "$(pids)" ] || fail "$profile: pid files are left"
	for pid in $all; do
		# A process that has ended may wait a moment for whoever collects it (Z).
		if ps -o stat= -p "$pid" | grep -qv '^Z'; then fail "$profile: process $pid is left"; fi
	done
	ok "$profile: down leaves nothing running"
}

# Records that were confirmed by all replicas, and rows by a quorum.
kafka_addresses() { "$dev/stack" env "$1" | sed -n "s/^export SLUICE_${1^^}=//p"; }
write_kafka() {
	"$dev/stack" topics "$1" --create --if-not-exists --topic kept --partitions 3 >/dev/null
	seq 1000 | kcat -q -P -b "$(kafka_addresses "$1")" -t kept -X acks=all
}
read_kafka() { [ "$("$dev/readback/kafka" "$(kafka_addresses "$1")" kept | wc -l)" = 1000 ]; }
write_kafka1() { write_kafka kafka1; }
read_kafka1() { read_kafka kafka1; }
write_kafka3() { write_kafka kafka3; }
read_kafka3() { read_kafka kafka3; }

write_cassandra() {
	"$("$dev/readback/python")" - "$1" "$2" <<-'PYTHON'
		import sys
		from cassandra import ConsistencyLevel
		from cassandra.cluster import Cluster

		with Cluster(sys.argv[1].split(",")) as cluster:
		    session = cluster.connect()
		    replication = "{'class': 'SimpleStrategy', 'replication_factor': %s}" % sys.argv[2]
		    session.execute("CREATE KEYSPACE IF NOT EXISTS kept WITH replication = " + replication)
		    session.execute("CREATE TABLE IF NOT EXISTS kept.rows (id int PRIMARY KEY)")
		    insert = session.prepare("INSERT INTO kept.rows (id) VALUES (?)")
		    insert.consistency_level = ConsistencyLevel.QUORUM
		    for id in range(1000):
		        session.execute(insert, [id])
	PYTHON
}
read_cassandra() { [ "$("$dev/readback/cassandra" --count "$1" kept.rows)" = 1000 ]; }
write_cassandra1() { write_cassandra 127.0.0.11 1; }
read_cassandra1() { read_cassandra 127.0.0.11; }
write_cassandra3() { write_cassandra 127.0.0.1,127.0.0.2,127.0.0.3 3; }
read_cassandra3() { read_cassandra 127.0.0.1,127.0.0.2,127.0.0.3; }

# The listeners of kafka1 let in who has the password or the certificate, and
# nobody else. kcat's SCRAM is broken in the version Debian 12 has.
test_kafka1() {
	local -a login=(-X sasl.mechanism=PLAIN -X sasl.username=sluice)
	local -a trust=(-X "ssl.ca.location=$dir/tls/ca.pem")
	local -a quick=(timeout 20 kcat -m 10 -L -b)
	"${quick[@]}" 127.0.0.1:19093 -X security.protocol=SASL_PLAINTEXT "${login[@]}" -X sasl.password=sluice-secret >/dev/null || fail "SASL"
	"${quick[@]}" 127.0.0.1:19094 -X security.protocol=SSL "${trust[@]}" >/dev/null || fail "TLS"
	"${quick[@]}" 127.0.0.1:19095 -X security.protocol=SASL_SSL "${login[@]}" -X sasl.password=sluice-secret "${trust[@]}" >/dev/null || fail "SASL over TLS"
	quick=(timeout 20 kcat -m 3 -L -b)
	! "${quick[@]}" 127.0.0.1:19093 -X security.protocol=SASL_PLAINTEXT "${login[@]}" -X sasl.password=wrong >/dev/null 2>&1 || fail "a wrong password is accepted"
	! "${quick[@]}" 127.0.0.1:19094 -X security.protocol=SSL >/dev/null 2>&1 || fail "the certificate is trusted by everybody"
	ok "kafka1: SASL, TLS and both"
}

test_cassandra_auth() {
	local read=("$dev/readback/cassandra" --count 127.0.0.12 system.local)
	! "${read[@]}" >/dev/null 2>&1 || fail "no password is needed"
	! "${read[@]}" --user cassandra --password wrong >/dev/null 2>&1 || fail "a wrong password is accepted"
	[ "$("${read[@]}" --user cassandra --password cassandra)" = 1 ] || fail "the password is refused"
	[ "$("${read[@]}" --user cassandra --password cassandra --ca "$dir/tls/ca.pem")" = 1 ] || fail "TLS"
	ok "cassandra-auth: password and TLS"
}

test_misuse
test_strange_pid
[ $# -gt 0 ] || set -- kafka1 kafka3 cassandra1 cassandra3 cassandra-auth
for profile in "$@"; do
	case $profile in
	kafka3 | cassandra3)
		test_profile "$profile" 3
		test_node "$profile" "$profile-2" 3
		;;
	kafka1 | cassandra1)
		test_profile "$profile" 1
		test_node "$profile" "$profile" 1
		;;
	cassandra-auth) test_profile "$profile" 1 ;;
	esac
	case $profile in
	kafka1) test_kafka1 ;;
	cassandra-auth) test_cassandra_auth ;;
	esac
	test_down "$profile"
done
ok "all"
