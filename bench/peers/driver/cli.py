"""The command line."""

import argparse
import signal
import subprocess
import sys

from . import Failure, comparison, report, stack, systems, works

DEFAULT_WORK = "single64,single256,ndjson100,ndjson1000"


def _names(known):
    def parse(text):
        names = [name for name in text.split(",") if name]
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"there is no {name!r}: want some of {', '.join(known)}")
        return names
    return parse


def _bounded(lowest, highest):
    def parse(text):
        value = int(text)
        if not lowest <= value <= highest:
            raise argparse.ArgumentTypeError(f"want {lowest} to {highest}, got {value}")
        return value
    return parse


def _arguments():
    p = argparse.ArgumentParser(
        prog="bench/peers/run", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Compares sluice with other ways to do its work, and keeps the figures in bench/results/peers.",
        epilog="works:\n" + "\n".join(f"  {w.name:<17}{w.about}" for w in works.ALL.values()))
    p.add_argument("--work", type=_names(works.ALL), default=DEFAULT_WORK, metavar="W,…", help=f"what to compare them at ({DEFAULT_WORK})")
    p.add_argument("--peers", type=_names(systems.ALL), metavar="P,…", help="which systems (all that can do the work)")
    p.add_argument("--rounds", type=_bounded(1, 100), default=5, metavar="N", help="runs of each system (5)")
    p.add_argument("--seconds", type=_bounded(1, 3600), default=8, metavar="N", help="how long each is measured (8)")
    p.add_argument("--warmup", type=_bounded(1, 600), metavar="N", help="seconds of load before each run (3; pekko 60 the first time, then 30)")
    return p.parse_args()


def _peers(work, wanted):
    peers = [name for name in work.peers if wanted is None or name in wanted]
    if not peers:
        raise Failure(f"none of the systems named can do {work.name}: want some of {', '.join(work.peers)}")
    if work.open and work.bases[0] not in peers:
        raise Failure(f"{work.name} needs {work.bases[0]}, which its rate comes from")
    return peers


def _compare(a):
    """Runs what was asked for and returns what was not as it should be."""
    plan = [(works.ALL[name], _peers(works.ALL[name], a.peers)) for name in a.work]
    systems.build([systems.ALL[name] for _, peers in plan for name in peers])
    problems = []
    with stack.servers({work.sink for work, _ in plan}) as variables:
        for work, peers in plan:
            c = comparison.Comparison(work, peers, a.rounds, a.seconds, variables, a.warmup)
            started = report.now()
            c.run()
            report.keep(c, started)
            print("\n" + report.text(c), flush=True)
            problems += c.problems
    return problems


def main():
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as an interrupt: what was started is stopped
    try:
        problems = _compare(arguments)
    except (Failure, subprocess.SubprocessError) as failure:
        print(f"bench/peers/run: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    for problem in problems:
        print(f"bench/peers/run: {problem}", file=sys.stderr)
    return 1 if problems else 0
