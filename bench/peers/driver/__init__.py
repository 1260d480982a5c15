"""What `make bench-peers` does, a module an idea:

works        the comparisons that there are
systems      what is compared: how each is built, started and warmed up
stack        the real Kafka and Cassandra, and what arrived in them
process      a server's process: start, stop, what it used
load         one run of the load generator
comparison   rounds of runs, the systems taking turns
report       medians, ratios, tables, files
cli          the command line

Whatever is started is stopped by who started it, also on an interrupt, and
nothing waits without an end.
"""

import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[3]
PEERS = ROOT / "bench" / "peers"
RESULTS = ROOT / "bench" / "results" / "peers"
CACHE = ROOT / ".cache" / "peers"  # what was built, and scratch that is removed again
SLUICE = ROOT / "bin" / "sluice"


class Failure(Exception):
    """What ends the comparison, as text for who runs it."""
