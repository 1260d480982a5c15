"""One run of the load generator, `sluice bench`."""

import json
import os
import pathlib
import subprocess

from . import SLUICE, Failure

GRACE = 90  # seconds that a run may take beyond its time


def run(work, system, url, seconds, scratch, key="", rate=0.0):
    """Sends a work's load to the URL and returns the generator's result. A rate, in
    events/s, makes it an open loop."""
    result = pathlib.Path(scratch) / "result.json"
    result.unlink(missing_ok=True)
    command = [
        SLUICE, "bench", "run", "--quiet", "--json", result, "--url", url, "--for", f"{seconds}s", "--warmup", "0s",
        "--connections", str(work.connections), "--format", system.formats[work.batch > 1],
        "--batch", str(work.batch), "--users", str(work.users), "--zipf", str(work.zipf), "--size", "500B",
        *(["--rate", str(rate)] if rate else ["--closed"]),
    ]
    environment = dict(os.environ)
    environment.pop("SLUICE_KEY", None)
    if key:
        environment["SLUICE_KEY"] = key
        command += ["--ack", "received" if work.sink == "none" else "stored"]
    # In a session of its own, so that it does not go on by itself, nor end before
    # its server, when there is an interrupt.
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
    try:
        said, _ = process.communicate(timeout=seconds + GRACE)
    except subprocess.TimeoutExpired:
        raise Failure(f"the load on {system.name} did not end {GRACE} s after its time") from None
    finally:
        process.kill()
        process.wait()
    if process.returncode or not result.exists():
        raise Failure(f"the load on {system.name} failed (exit code {process.returncode}):\n{said}")
    return json.loads(result.read_text())


def figures(result, usage):
    """Returns of a run what is kept: its figures, and the server's use."""
    totals, latency = result["totals"], result["latency"]
    accepted = totals["accepted"]
    return {
        "seconds": result["seconds"],
        "events_per_second": round(totals["events_per_second"]),
        "accepted": accepted,
        "duplicates": totals["duplicates"],
        "rejected": totals["rejected"],
        "failed": totals["failed"],
        "refused": totals["refused"],
        "unknown": totals["unknown"],
        "unsent": totals["unsent"],
        "cpu_us_per_event": round(usage.cpu * 1e6 / accepted, 3) if accepted else None,
        "rss_max": usage.rss,
        **{name: latency[name] for name in ("p50_us", "p99_us", "p999_us", "max_us")},
        "generator_cpu_us_per_event": round(result["generator"]["cpu_us_per_event"], 3),
        "generator_late_p99_us": result["generator"]["late_p99_us"],
        "load1": result["machine"]["load1"],
    }
