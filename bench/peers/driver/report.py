"""Medians, ratios, tables and files."""

import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess

from . import RESULTS, ROOT


def _of(comparison, system, field):
    """Returns a field of a system's runs, by round."""
    return {run["round"]: run[field] for run in comparison.runs if run["system"] == system and run.get(field) is not None}


def ratio(comparison, system, base):
    """Returns the median of the ratios of events/s within each round; None: one of
    them did not run."""
    mine, its = (_of(comparison, name, "events_per_second") for name in (system, base))
    ratios = [mine[n] / its[n] for n in mine if its.get(n)]
    return statistics.median(ratios) if ratios else None


def _spread(values, form):
    if not values:
        return "–"
    values = sorted(values.values())
    return f"{form(statistics.median(values))} ({form(values[0])}–{form(values[-1])})"


def _middle(values, form):
    return form(statistics.median(values.values())) if values else "–"


def _times(value):
    return "–" if value is None else f"{value:.2f}"


def _ms(us):
    return f"{us / 1000:.2f}" if us < 100_000 else f"{us / 1000:.0f}"


def table(comparison):
    """Returns the comparison as a Markdown table."""
    bases = [b for b in comparison.work.bases if b in comparison.peers]
    others = "sluice" in comparison.peers and len(comparison.peers) > 1
    head = ["system", "events/s (min–max)", *(f"× {b}" for b in bases), *(["sluice is ×"] if others else []),
            "CPU µs/event", "RSS MB", "p50 ms", "p99 ms", "p99.9 ms"]
    rows = [head, ["---", *["---:"] * (len(head) - 1)]]
    for system in comparison.peers:
        field = lambda name: _of(comparison, system, name)  # noqa: E731
        rows.append([
            system, _spread(field("events_per_second"), "{:,.0f}".format),
            *(_times(ratio(comparison, system, b)) for b in bases),
            *([_times(ratio(comparison, "sluice", system))] if others else []),
            _middle(field("cpu_us_per_event"), "{:.2f}".format),
            f"{max(field('rss_max').values(), default=0) / 1e6:,.0f}",
            *(_middle(field(name), _ms) for name in ("p50_us", "p99_us", "p999_us")),
        ])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def text(comparison):
    """Returns the table with its heading, and what was wrong."""
    rate = f" ({comparison.rate:,.0f} events/s)" if comparison.rate else ""
    parts = [
        f"## {comparison.work.name}: {comparison.work.about}{rate}",
        f"{comparison.rounds} rounds of {comparison.seconds} s, the systems taking turns; medians, ratios within rounds, the highest RSS.",
        table(comparison),
    ]
    if comparison.problems:
        parts.append("Not as it should be:\n\n" + "\n".join(f"- {p}" for p in comparison.problems))
    return "\n\n".join(parts) + "\n"


def machine():
    """Returns what the runs were made on and of."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next(line.split(": ", 1)[1] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration, IndexError):
        cpu = platform.processor()
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, timeout=30)
    return {"cores": os.cpu_count(), "cpu": cpu, "os": platform.system(), "commit": commit.stdout.strip()}


def keep(comparison, started):
    """Writes WORK.json, the figures of each run, and WORK.md, the table."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    kept = {
        "work": comparison.work.name, "about": comparison.work.about, "started": started.isoformat(timespec="seconds"),
        "machine": machine(), "rounds": comparison.rounds, "seconds": comparison.seconds, "rate": comparison.rate,
        "problems": comparison.problems,
    }
    runs = ",\n".join("  " + json.dumps(run, separators=(",", ":")) for run in comparison.runs)
    head = json.dumps(kept, indent=1, ensure_ascii=False).removesuffix("\n}")
    (RESULTS / f"{comparison.work.name}.json").write_text(f'{head},\n "runs": [\n{runs}\n ]\n}}\n')
    (RESULTS / f"{comparison.work.name}.md").write_text(text(comparison))


def now():
    return datetime.datetime.now(datetime.timezone.utc)
