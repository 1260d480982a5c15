"""What is compared, in one table: how each system is built, started, warmed up and
spoken to. A new comparator is a new entry."""

import dataclasses
import signal
import subprocess

from . import CACHE, PEERS, ROOT, SLUICE, Failure

BUILT_WITHIN = 1800  # seconds


@dataclasses.dataclass(frozen=True)
class System:
    """Commands are lists in which {addr}, {brokers}, {topic}, {hosts}, {keyspace},
    {partition_by}, {users}, {zipf}, {seconds}, {dir} and {config} stand for those
    of the run."""

    name: str
    build: list
    start: dict  # the command by the kind of sink
    stop: int = signal.SIGTERM
    first_warmup: int = 3  # seconds of load before the first run that is measured,
    warmup: int = 3  # and before each later one
    path: str = "/v1/events"
    formats: tuple = ("single", "ndjson")  # the generator's, for one event and for several
    environment: dict = dataclasses.field(default_factory=dict)
    loop: bool = False  # it is its own load, and prints what it did as JSON


def _go(name, package, start, **more):
    binary = CACHE / name
    commands = {sink: [binary, *arguments] for sink, arguments in start.items()}
    return System(name, ["go", "build", "-o", binary, package], commands, **more)


def _folder(name, **more):
    """A comparator in a folder of its own, with programs build and start."""
    folder = PEERS / name
    return System(name, [folder / "build"], {"kafka": [folder / "start", "{addr}", "{brokers}", "{topic}"]}, **more)


_BARE = {
    "kafka": ["--addr={addr}", "--brokers={brokers}", "--topic={topic}"],
    "none": ["--addr={addr}", "--mode=none"],
    "local": ["--addr={addr}", "--mode=file", "--file={dir}/events.ndjson"],
}
_TABLE = ["--hosts={hosts}", "--keyspace={keyspace}", "--partition-by={partition_by}"]

ALL = {
    system.name: system
    for system in (
        System("sluice", ["go", "build", "-o", SLUICE, "./cmd/sluice"],
               dict.fromkeys(("kafka", "local", "cassandra"), [SLUICE, "serve", "-c", "{config}"])),
        # sluice's data port and actors with a sink that only counts.
        _go("nosink", "./dev/nosink", {"none": ["--addr={addr}"]}, environment={"SLUICE_KEY": "for-measuring"}),
        _go("bare", "./bench/peers/bare", _BARE),
        # The JVM compiles what runs often: measured at once it would be half as fast.
        _folder("pekko", first_warmup=60, warmup=30),
        _folder("otel", path="/v1/logs", formats=("otlp", "otlp")),
        _folder("fastify"),
        _folder("fastapi"),
        _go("cassandra-each", "./bench/peers/cassandra-each", {"cassandra": ["--addr={addr}", *_TABLE]}),
        _go("cassandra-raw", "./bench/peers/cassandra-raw",
            {"cassandra": [*_TABLE, "--users={users}", "--zipf={zipf}", "--for={seconds}s"]}, loop=True),
    )
}


def build(systems):
    """Builds sluice, whose generator is always needed, and the systems."""
    for system in {s.name: s for s in (ALL["sluice"], *systems)}.values():
        print(f"building {system.name}", flush=True)
        CACHE.mkdir(parents=True, exist_ok=True)
        try:
            code = subprocess.run(system.build, cwd=ROOT, timeout=BUILT_WITHIN).returncode
        except (OSError, subprocess.TimeoutExpired) as failure:
            raise Failure(f"{system.name} cannot be built: {failure}") from None
        if code:
            raise Failure(f"{system.name} does not build (exit code {code}); --peers without it compares the others")
