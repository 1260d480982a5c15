"""What sluice needs beyond the other systems: a configuration, a key, an admin port."""

import json
import pathlib
import subprocess

from . import SLUICE, Failure


def new_key():
    """Returns a key and the line of the configuration that lets its owner in."""
    done = subprocess.run([SLUICE, "key", "new", "--json"], capture_output=True, text=True, timeout=30)
    if done.returncode:
        raise Failure(f"sluice key new ended with {done.returncode}: {done.stderr}")
    pair = json.loads(done.stdout)
    return pair["key"], pair["hash"]


def _sink(work, place):
    match work.sink:
        case "kafka":
            return {"kind": "kafka", "brokers": place["brokers"].split(","), "topic": place["topic"], "compression": "none"}
        case "local":
            return {"kind": "local"}
        case "cassandra":
            return {
                "kind": "cassandra", "hosts": place["hosts"].split(","), "keyspace": place["keyspace"], "table": "events",
                "consistency": "QUORUM", "partition_by": work.partition_by, "create_schema": True,
                "replication": {"class": "SimpleStrategy", "factor": 3},
            }
    raise ValueError(work.sink)


def write_config(work, place, admin, key_hash):
    """Writes the configuration of a run: its sink, and all else as it comes. YAML
    takes JSON."""
    config = {
        "data": {"listen": place["addr"]},
        "admin": {"listen": admin},
        "dir": str(pathlib.Path(place["dir"]) / "data"),
        "sinks": {"out": _sink(work, place)},
        "tenants": {"bench": {"keys": [key_hash], "sink": "out", "ack": {"default": "stored", "weakest": "received"}}},
    }
    pathlib.Path(place["config"]).write_text(json.dumps(config, indent=1))
