"""The comparisons that there are: what is sent, how, and where it has to arrive."""

import dataclasses

KAFKA_PEERS = ("sluice", "bare", "pekko", "otel", "fastify", "fastapi")
CASSANDRA_PEERS = ("sluice", "cassandra-each", "cassandra-raw")
PAIR = ("sluice", "bare")
NO_SINK = ("nosink", "bare")


@dataclasses.dataclass(frozen=True)
class Work:
    name: str
    about: str
    peers: tuple  # the systems that can do it, in the order of the table
    bases: tuple  # the systems that ratios are of
    sink: str = "kafka"  # kafka, none, local or cassandra
    connections: int = 64
    batch: int = 1  # events a request
    users: int = 10_000
    zipf: float = 0.0
    open: bool = False  # an open loop at half of the base's best rate
    partition_by: str = ""  # of a Cassandra table


def _kafka(name, about, **more):
    return Work(name, f"Kafka, {about}", KAFKA_PEERS, ("bare",), **more)


ALL = {
    work.name: work
    for work in (
        _kafka("single64", "single events, 64 connections"),
        _kafka("single256", "single events, 256 connections", connections=256),
        _kafka("ndjson100", "NDJSON of 100, 64 connections", batch=100),
        _kafka("ndjson1000", "NDJSON of 1,000, 64 connections", batch=1000),
        _kafka("open", "single events, open loop at half of bare's best rate, 256 connections", connections=256, open=True),
        Work("none-single", "no sink, single events, 64 connections", NO_SINK, ("bare",), sink="none"),
        Work("none-ndjson", "no sink, NDJSON of 100, 64 connections", NO_SINK, ("bare",), sink="none", batch=100),
        Work("local-single", "synced to disk, single events, 64 connections", PAIR, ("bare",), sink="local"),
        Work("local-ndjson", "synced to disk, NDJSON of 100, 64 connections", PAIR, ("bare",), sink="local", batch=100),
        Work("cassandra-shard", "Cassandra, three nodes, QUORUM, partitions of many users, NDJSON of 100, 64 connections",
             CASSANDRA_PEERS, ("cassandra-each", "cassandra-raw"), sink="cassandra", batch=100, partition_by="shard"),
        Work("cassandra-user", "Cassandra, three nodes, QUORUM, partitions of one user, Zipf users, NDJSON of 100, 64 connections",
             CASSANDRA_PEERS, ("cassandra-each", "cassandra-raw"), sink="cassandra", batch=100, partition_by="user", zipf=1.0),
    )
}
