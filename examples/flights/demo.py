#!/usr/bin/env python3
"""Sends 336,776 flights through sluice, twice, and counts what was stored.

    demo.py local|kafka|cassandra

Exits 1 when anything that was sent is not there exactly once, byte for byte.
"""

import gzip
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import gateway
import make_events
import readers

HERE = pathlib.Path(__file__).resolve().parent
STACK = gateway.REPOSITORY / "dev" / "stack"
PROFILES = {"local": None, "kafka": "kafka3", "cassandra": "cassandra3"}
READERS = {"local": readers.local, "kafka": readers.kafka, "cassandra": readers.cassandra}
FLIGHTS = make_events.CACHE / "flights.ndjson.gz"


class Stack:
    """The servers a demo needs; those that were not up before are stopped
    after it."""

    def __init__(self, profile):
        self.profile = profile
        self.started = False

    def __enter__(self):
        if self.profile and subprocess.run([STACK, "status", self.profile], stdout=subprocess.DEVNULL).returncode:
            self.started = True
            try:
                subprocess.run([STACK, "up", self.profile], check=True)
            except BaseException:
                self.__exit__()
                raise

    def __exit__(self, *_):
        if self.started:
            subprocess.run([STACK, "down", self.profile], check=True)


def say(text):
    print(text, flush=True)


def source():
    """Yields the events of the file as a reader does."""
    with gzip.open(FLIGHTS, "rt", encoding="utf-8") as lines:
        for line in lines:
            event = json.loads(line)
            yield event["user"], event["id"], line.rstrip("\n")


def send(running, what):
    start = time.monotonic()
    summary = running.send(FLIGHTS)
    seconds = time.monotonic() - start
    say(f"\n{what}: {make_events.EVENTS / seconds:,.0f} events/s ({seconds:.1f} s)")
    for name in ("accepted", "duplicates", "rejected", "failed", "retries", "refused"):
        say(f"  {name:<11}{summary[name]:>9,}")
    return summary


def expect(what, got, wanted):
    if got != wanted:
        sys.exit(f"{what}: {got}, not {wanted}")


def count(kind, running, run, sent):
    """Reads everything back and compares it with what was sent."""
    start = time.monotonic()
    found = readers.Tally(READERS[kind](running.key, run, sent.users), make_events.COUNTS)
    say(f"  read back  {found.events:>9,}  in {time.monotonic() - start:.0f} s")
    for (column, value), number in found.counts.items():
        say(f"  {column} {value:<{10 - len(column)}}{number:>9,}")
    expect("events", found.events, make_events.EVENTS)
    expect("counts", dict(found.counts), make_events.COUNTS)
    if found != sent:
        sys.exit("what was read back is not, byte for byte, what was sent")


def demo(kind):
    gateway.build()
    if not FLIGHTS.exists():
        make_events.main(FLIGHTS)
    sent = readers.Tally(source(), make_events.COUNTS)
    run = f"flights_{int(time.time())}"  # a new topic or keyspace each time
    with Stack(PROFILES[kind]), tempfile.TemporaryDirectory(prefix="sluice-demo-") as folder:
        with gateway.Gateway(HERE / f"{kind}.yaml", folder, run) as running:
            first = send(running, "sent")
            expect("accepted", first["accepted"] + first["duplicates"], make_events.EVENTS)
            count(kind, running, run, sent)

            again = send(running, "sent again")
            expect("duplicates", again["duplicates"], make_events.EVENTS)
            expect("accepted", again["accepted"], 0)
            count(kind, running, run, sent)

            if peak := running.peak_memory():
                say(f"\nmemory of the process: at most {peak / 2**20:,.0f} MiB (VmHWM)")
    say("every event is there, once, byte for byte")


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in PROFILES:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    demo(sys.argv[1])
