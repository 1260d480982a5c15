"""Reads a Cassandra table back with the Python driver, which shares no code
with sluice.

    cassandra [--consistency QUORUM] [--columns a,b] [--count] HOSTS KEYSPACE.TABLE

Prints every row, a JSON object a line, a key per column: blobs as text (base64
in {"base64": …} where they are not UTF-8), timestamps in milliseconds since
1970, UUIDs as text. HOSTS is host[:port],… The rows are those that a read at
the given consistency sees. --count prints only their number.
"""

import argparse
import base64
import datetime
import json
import os
import ssl
import sys
import uuid

from cassandra import ConsistencyLevel
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
from cassandra.policies import RoundRobinPolicy
from cassandra.query import SimpleStatement, dict_factory

PAGE = 2000  # rows
EPOCH = datetime.datetime(1970, 1, 1)


def arguments():
    parser = argparse.ArgumentParser(
        prog="cassandra", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("hosts")
    parser.add_argument("table")
    parser.add_argument("--consistency", default="QUORUM", choices=sorted(ConsistencyLevel.name_to_value))
    parser.add_argument("--columns", default="*", help="names, separated by commas; writetime(data) works too")
    parser.add_argument("--count", action="store_true", help="print the number of rows instead")
    parser.add_argument("--user", default="")
    parser.add_argument("--password", default="")
    parser.add_argument("--ca", default="", help="speak TLS and trust this certificate (PEM)")
    return parser.parse_args()


def cluster(args):
    hosts = [host.rpartition(":") if ":" in host else (host, "", "9042") for host in args.hosts.split(",")]
    login = PlainTextAuthProvider(args.user, args.password) if args.user else None
    profile = ExecutionProfile(
        load_balancing_policy=RoundRobinPolicy(),
        consistency_level=ConsistencyLevel.name_to_value[args.consistency],
        row_factory=dict_factory,
        request_timeout=60,
    )
    return Cluster(
        [host for host, _, _ in hosts],
        port=int(hosts[0][2]),
        auth_provider=login,
        ssl_context=ssl.create_default_context(cafile=args.ca) if args.ca else None,
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        protocol_version=5,
    )


def plain(value):
    """Returns a column's value as JSON can hold it."""
    if isinstance(value, (bytes, bytearray)):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, datetime.datetime):
        return (value - EPOCH) // datetime.timedelta(milliseconds=1)
    if isinstance(value, uuid.UUID):
        return str(value)
    return value


def main():
    args = arguments()
    with cluster(args) as connected:
        session = connected.connect()
        query = SimpleStatement(f"SELECT {args.columns} FROM {args.table}", fetch_size=PAGE)
        number, write = 0, sys.stdout.write
        for row in session.execute(query):
            number += 1
            if not args.count:
                made = {name: plain(value) for name, value in row.items()}
                write(json.dumps(made, ensure_ascii=False, separators=(",", ":"), default=str) + "\n")
        if args.count:
            print(number)


if __name__ == "__main__":
    try:
        main()
        sys.stdout.flush()
    except BrokenPipeError:
        os._exit(0)  # whoever reads has seen enough
    except Exception as problem:  # the driver's many, for a person
        sys.exit(f"{type(problem).__name__}: {problem}")
