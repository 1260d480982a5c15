"""Reads what a demo has stored, without any code of sluice: each reader yields
(user, id, text of the event) of everything that is there."""

import collections
import hashlib
import http.client
import json
import pathlib
import subprocess
import sys
import urllib.parse

import gateway

READBACK = gateway.REPOSITORY / "dev" / "readback"
PAGE = 1000  # the most events sluice gives in one answer; no aircraft flew as often


def local(key, _run, users):
    """Asks the gateway for every user's events, over plain HTTP."""
    where = urllib.parse.urlsplit(gateway.DATA)
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=60)
    headers = {"Authorization": f"Bearer {key}", "Accept": "application/x-ndjson"}
    for user in sorted(users):
        name = urllib.parse.quote(user, safe="")
        connection.request("GET", f"/v1/users/{name}/events?limit={PAGE}", headers=headers)
        answer = connection.getresponse()
        body = answer.read().decode()
        if answer.status != 200:
            sys.exit(f"the events of {user}: {answer.status} {body}")
        lines = body.splitlines()
        if len(lines) >= PAGE:
            sys.exit(f"{user} has more events than one answer holds")
        for line in lines:
            yield user, json.loads(line)["id"], line
    connection.close()


def kafka(_key, run, _users):
    """Reads the topic with kcat."""
    for record in _lines(READBACK / "kafka", "127.0.0.1:29092", run):
        yield record["key"], record["headers"]["id"], record["value"]


def cassandra(_key, run, _users):
    """Reads the table with the Python driver, at QUORUM."""
    command = [READBACK / "cassandra", "--consistency", "QUORUM", "--columns", "user,id,data"]
    for row in _lines(*command, "127.0.0.1,127.0.0.2,127.0.0.3", f'"{run}".events'):
        yield row["user"], row["id"], row["data"]


def _lines(*command):
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        for line in process.stdout:
            yield json.loads(line)
    if process.returncode != 0:
        sys.exit(f"{pathlib.Path(command[0]).name} ended with {process.returncode}")


class Tally:
    """What was counted: the number of events, of some values of theirs, and a
    digest of all their bytes that does not depend on their order."""

    def __init__(self, events, wanted):
        self.events, self.digest = 0, 0
        self.counts = collections.Counter({pair: 0 for pair in wanted})
        self.users, self.ids = set(), set()
        for user, id, text in events:
            event = json.loads(text)
            if (user, id) != (event["user"], event["id"]):
                sys.exit(f"stored as {user}, {id}: {text}")
            self.events += 1
            self.users.add(user)
            self.ids.add(id)
            for column, value in wanted:
                self.counts[column, value] += event[column] == value
            self.digest += int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")

    def __eq__(self, other):
        return (self.events, self.digest, self.counts, self.ids) == (
            other.events,
            other.digest,
            other.counts,
            other.ids,
        )
