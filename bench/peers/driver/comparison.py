"""Rounds of runs, the systems taking turns."""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

from . import CACHE, Failure, gateway, load, process, stack, systems


class Comparison:
    """One work, measured with several systems. runs holds the figures of each run,
    problems what was not as it should be."""

    def __init__(self, work, peers, rounds, seconds, variables, warmup=None):
        self.work, self.peers, self.rounds, self.seconds = work, peers, rounds, seconds
        self.warmup = warmup  # seconds, in place of what each system has
        self.variables = variables
        self.rate = 0.0  # of an open loop, events/s
        self.runs, self.problems = [], []
        self._warm = set()  # systems that have had their first warm-up
        self._serial = 0

    def run(self):
        if self.work.open:
            self._find_rate()
        for number in range(self.rounds):
            # Each round begins with another one: none always runs on a machine
            # that has just done the heaviest of them.
            turn = number % len(self.peers)
            for name in self.peers[turn:] + self.peers[:turn]:
                figures = {"round": number + 1, "system": name, **self._measure(systems.ALL[name], self.rate)}
                self.runs.append(figures)
                print(f"{self.work.name}  round {number + 1}  {name:<15}{figures['events_per_second']:>10,} events/s", flush=True)

    def _find_rate(self):
        base = systems.ALL[self.work.bases[0]]
        best = max(self._measure(base)["events_per_second"] for _ in range(2))
        self.rate = round(best / 2, -2)
        print(f"{self.work.name}  {base.name} takes {best:,} events/s at best: the rate is {self.rate:,.0f}", flush=True)

    def _measure(self, system, rate=0.0):
        """Runs one system once, on a place of its own, and returns its figures."""
        self._serial += 1
        CACHE.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as held:
            folder = tempfile.mkdtemp(prefix="run-", dir=CACHE)  # not in /tmp, which may be memory
            held.callback(shutil.rmtree, folder, ignore_errors=True)
            place = self._place(folder)
            target = held.enter_context(self._target(place))
            if system.loop:
                return self._loop(system, place, target)
            return self._served(system, place, target, rate)

    def _place(self, folder):
        return {
            "dir": folder, "config": str(pathlib.Path(folder) / "sluice.yaml"), "addr": process.free_address(),
            "brokers": self.variables.get("SLUICE_KAFKA1", ""), "hosts": self.variables.get("SLUICE_CASSANDRA3", "").replace(":9042", ""),
            "topic": f"peers-{os.getpid()}-{int(time.time())}-{self._serial}",
            "keyspace": f"peers_{os.getpid()}_{int(time.time())}_{self._serial}",
            "partition_by": self.work.partition_by, "users": self.work.users, "zipf": self.work.zipf, "seconds": self.seconds,
        }

    def _target(self, place):
        """Returns what the run's events have to arrive in, as a with statement's."""
        match self.work.sink:
            case "kafka":
                return stack.Topic(place["brokers"], place["topic"])
            case "cassandra":
                return stack.Keyspace(place["hosts"], place["keyspace"])
        return contextlib.nullcontext()

    def _served(self, system, place, target, rate):
        key = system.environment.get("SLUICE_KEY", "")
        url, ready = f"http://{place['addr']}{system.path}", f"http://{place['addr']}/"
        if system.name == "sluice":
            admin = process.free_address()
            key, key_hash = gateway.new_key()
            gateway.write_config(self.work, place, admin, key_hash)
            ready = f"http://{admin}/readyz"
        log = pathlib.Path(place["dir"]) / "log"
        command = _fill(system.start[self.work.sink], place)
        with process.Server(system.name, command, log, system.stop, system.environment) as server:
            server.until_ready(ready, want_ok=system.name == "sluice")
            try:
                warm = load.run(self.work, system, url, self._warmup(system), place["dir"], key, rate)
                with process.Usage(server.process.pid) as usage:
                    measured = load.run(self.work, system, url, self.seconds, place["dir"], key, rate)
            except Failure as failure:
                raise Failure(f"{failure}\nThe end of {system.name}'s log:\n{server.log_end()}") from None
        figures = load.figures(measured, usage)
        if target:
            figures["stored"] = target.stored()
        self._check(system, warm["totals"], measured["totals"], figures)
        return figures

    def _warmup(self, system):
        first = system.name not in self._warm
        self._warm.add(system.name)
        if self.warmup is not None:
            return self.warmup
        return system.first_warmup if first else system.warmup

    def _check(self, system, warm, measured, figures):
        """Notes what spoils the run. The warm-up's events are in the topic too."""
        accepted = warm["accepted"] + measured["accepted"]
        # Of these it is not known whether they were stored.
        doubtful = sum(t["unknown"] + t["failed"] + sum(t["refused"].values()) for t in (warm, measured))
        stored = figures.get("stored", accepted)
        if not accepted <= stored <= accepted + doubtful:
            self._problem(system, f"{accepted:,} events were accepted and {stored:,} are stored")
        for what in ("duplicates", "rejected", "failed", "unknown"):
            if measured[what]:
                self._problem(system, f"{measured[what]:,} events {what}")
        for answer, events in measured["refused"].items():
            self._problem(system, f"{events:,} events refused: {answer}")

    def _problem(self, system, text):
        self.problems.append(f"{self.work.name}, {system.name}: {text}")
        print(f"PROBLEM  {self.problems[-1]}", flush=True)

    def _loop(self, system, place, target):
        """Runs a system that makes its load itself and prints its figures."""
        log = pathlib.Path(place["dir"]) / "log"
        with process.Server(system.name, _fill(system.start[self.work.sink], place), log) as server:
            with process.Usage(server.process.pid) as usage:
                try:
                    code = server.process.wait(self.seconds + load.GRACE)
                except subprocess.TimeoutExpired:
                    raise Failure(f"{system.name} did not end {load.GRACE} s after its time") from None
            if code:
                raise Failure(f"{system.name} ended with {code}:\n{server.log_end()}")
        said = json.loads(log.read_text().splitlines()[-1])
        figures = {
            "seconds": said["seconds"], "events_per_second": round(said["rows_per_second"]), "accepted": said["rows"],
            "failed": said["failed"], "rss_max": usage.rss, "stored": target.stored(),
            "cpu_us_per_event": said["cpu_us_per_row"],
        }
        if figures["stored"] < said["rows"]:
            self._problem(system, f"{said['rows']:,} rows were acknowledged and {figures['stored']:,} are stored")
        return figures


def _fill(command, place):
    return [str(word).format_map(place) for word in command]
