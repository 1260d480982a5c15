# shellcheck shell=bash
# The life of one node's process: started detached, known by its pid file,
# never signalled unless the pid still is that very process.

start_timeout=${SLUICE_STACK_TIMEOUT:-180} # seconds until a node must answer
stop_timeout=30                            # seconds until a node that was asked to stop is killed

pid_file() { echo "$stack_dir/run/$1.pid"; }
log_file() { echo "$stack_dir/logs/$1.log"; }

# mark NODE → a word on its command line that no other process carries.
mark() { echo "-Dsluice.stack.node=$stack_dir/$1;"; }

# running NODE reports whether NODE's process lives. A pid that now is another
# process (after a reboot, say) does not count.
running() {
	local pid
	pid=$(cat "$(pid_file "$1")" 2>/dev/null) || return 1
	[ -n "$pid" ] && ps -ww -o stat=,args= -p "$pid" 2>/dev/null | grep -v '^Z' | grep -qF -- "$(mark "$1")"
}

# vacant NODE ADDRESS ends the script when somebody listens on ADDRESS already:
# what answers there later would not be NODE.
vacant() {
	if (exec 8<>"/dev/tcp/${2%:*}/${2##*:}") 2>/dev/null; then
		die "$1: another process listens on $2 (started with another SLUICE_STACK_DIR?)"
	fi
}

# launch NODE JAVA-ARGUMENT… starts NODE in a session of its own, so that an
# interrupt meant for the terminal does not reach it.
launch() {
	local node=$1
	shift
	mkdir -p "$stack_dir/logs" "$stack_dir/run"
	: >"$(log_file "$node")"
	setsid "$java" "$(mark "$node")" "$@" >>"$(log_file "$node")" 2>&1 </dev/null 9>&- &
	echo $! >"$(pid_file "$node")"
	disown
}

# signal NODE SIGNAL, if it runs.
signal() {
	if running "$1"; then kill -s "$2" "$(cat "$(pid_file "$1")")" 2>/dev/null || true; fi
}

# ended NODE waits until it has ended and forgets it; killed after stop_timeout.
ended() {
	local deadline=$((SECONDS + stop_timeout))
	if [ -f "$(pid_file "$1")" ]; then
		while running "$1"; do
			if [ $SECONDS -ge $deadline ]; then
				say "$1: did not stop within ${stop_timeout} s, killing it"
				signal "$1" KILL
				deadline=$((SECONDS + stop_timeout))
			fi
			sleep 0.2
		done
		rm -f "$(pid_file "$1")"
		say "$1: down"
	fi
}

# until NODE WHAT COMMAND… waits until COMMAND succeeds. It gives up, showing the
# end of NODE's log, when that takes too long or NODE has died.
until_ok() {
	local node=$1 what=$2 deadline=$((SECONDS + start_timeout))
	shift 2
	while ! "$@"; do
		running "$node" || give_up "$node" "ended before it $what"
		[ $SECONDS -lt $deadline ] || give_up "$node" "has not $what within $start_timeout s"
		sleep 0.3
	done
}

give_up() {
	say "--- end of $(log_file "$1")"
	grep -m 5 -E 'ERROR|Exception' "$(log_file "$1")" >&2 || true
	say "..."
	tail -n 20 "$(log_file "$1")" >&2
	say "---"
	die "$1 $2"
}

# describe NODE → "pid 4711, 342 MiB, running 05:12"
describe() {
	ps -o pid=,rss=,etime= -p "$(cat "$(pid_file "$1")")" |
		awk '{printf "pid %d, %d MiB, running %s", $1, $2 / 1024, $3}'
}

# fill TEMPLATE NAME=VALUE… prints TEMPLATE with every @NAME@ replaced.
fill() {
	local text pair
	text=$(cat "$1")
	shift
	for pair in "$@"; do text=${text//"@${pair%%=*}@"/"${pair#*=}"}; done
	case $text in
	*@[a-z_]*@*) die "internal: a template still holds a name" ;;
	esac
	printf '%s\n' "$text"
}
