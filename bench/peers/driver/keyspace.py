"""keyspace.py count|drop HOSTS KEYSPACE: run with the Python of dev/readback, which
has Cassandra's driver."""

import sys

from cassandra import ConsistencyLevel
from cassandra.cluster import Cluster
from cassandra.query import SimpleStatement

what, hosts, keyspace = sys.argv[1:]
with Cluster(hosts.split(","), protocol_version=5) as cluster:
    session = cluster.connect()
    if what == "drop":
        session.execute(f"DROP KEYSPACE IF EXISTS {keyspace}", timeout=60)
    else:
        # Paged: one count(*) of all of it would time out.
        query = SimpleStatement(f"SELECT ts FROM {keyspace}.events", fetch_size=5000,
                                consistency_level=ConsistencyLevel.QUORUM)
        print(sum(1 for _ in session.execute(query, timeout=60)))
