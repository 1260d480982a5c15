"""The real Kafka and Cassandra, by way of dev/stack, and what arrived in them."""

import contextlib
import re
import shlex
import subprocess

from . import PEERS, ROOT, Failure

STACK = ROOT / "dev" / "stack"
PROFILES = {"kafka": "kafka1", "cassandra": "cassandra3"}
PARTITIONS = 6
UP_WITHIN = 1200  # seconds; the first time it downloads
ASKED_WITHIN = 300


def _run(command, within=ASKED_WITHIN, **more):
    """Runs a command and returns what it prints."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=within, **more)
    except (OSError, subprocess.TimeoutExpired) as failure:
        raise Failure(f"{command[0]}: {failure}") from None
    if done.returncode:
        raise Failure(f"{shlex.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def _leave(command, what):
    """Runs what removes something. That it cannot spoils nothing, and must not
    hide why it is removed."""
    try:
        _run(command)
    except Failure as failure:
        print(f"{what} is left over: {str(failure).splitlines()[0]}", flush=True)


@contextlib.contextmanager
def servers(sinks):
    """Yields the stack's variables while the servers for the sinks are up. Those
    that were not up before are stopped afterwards."""
    with contextlib.ExitStack() as started:
        profiles = [PROFILES[sink] for sink in PROFILES if sink in sinks]
        for profile in profiles:
            status = subprocess.run([STACK, "status", profile], stdout=subprocess.PIPE, text=True, timeout=ASKED_WITHIN)
            if status.returncode:
                # One that runs already, and only does not answer at the moment, is not ours to stop.
                if all(line.split()[2] == "down" for line in status.stdout.splitlines()):
                    started.callback(subprocess.run, [STACK, "down", profile], timeout=ASKED_WITHIN)
                subprocess.run([STACK, "up", profile], check=True, timeout=UP_WITHIN)
        yield _variables(profiles)


def _variables(profiles):
    if not profiles:
        return {}
    words = shlex.split(_run([STACK, "env", *profiles]), comments=True)
    return dict(word.split("=", 1) for word in words if "=" in word)


class Topic:
    """A topic of its own for one run, for as long as a with statement lasts."""

    def __init__(self, brokers, name):
        self.brokers, self.name = brokers, name

    def __enter__(self):
        _run([STACK, "topics", "kafka1", "--create", "--topic", self.name, "--partitions", str(PARTITIONS),
              "--replication-factor", "1",
              # Its gigabytes are to be gone when the next run is measured.
              "--config", "file.delete.delay.ms=1000"])
        return self

    def __exit__(self, *_):
        _leave([STACK, "topics", "kafka1", "--delete", "--topic", self.name], self.name)

    def stored(self):
        """Returns how many records are in the topic, as kcat sees it: the sum of
        the end offsets, for nothing was ever deleted from it."""
        asked = [word for p in range(PARTITIONS) for word in ("-t", f"{self.name}:{p}:-1")]
        ends = re.findall(r"\[\d+\] offset (\d+)", _run(["kcat", "-b", self.brokers, "-Q", *asked]))
        if len(ends) != PARTITIONS:
            raise Failure(f"kcat knows {len(ends)} partitions of {self.name}, not {PARTITIONS}")
        return sum(map(int, ends))


class Keyspace:
    """A keyspace of its own for one run; the run's system makes it."""

    def __init__(self, hosts, name):
        self.hosts, self.name = hosts, name

    def __enter__(self):
        return self

    def __exit__(self, *_):
        _leave(self._command("drop"), self.name)

    def stored(self):
        """Returns how many events are in it, as Cassandra's driver for Python sees
        it at QUORUM."""
        return int(_run(self._command("count")))

    def _command(self, what):
        python = _run([ROOT / "dev" / "readback" / "python"]).strip()
        return [python, PEERS / "driver" / "keyspace.py", what, self.hosts, self.name]
