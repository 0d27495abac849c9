"""How often the grader is wrong about lab 03: on a busy machine, on decoys, and in replays.

    python3 bench/verdicts.py                   all three, about ten minutes
    python3 bench/verdicts.py --live 8 --decoys 0 --replays 200

Live: lab 03 as shipped and with the solution, in turn, while busy loops run beside the grader.
Decoys: slow.c merely moved in memory (tests/probes), which must not pass. Replays: the pairs that
the live runs recorded, drawn again at random and judged against a bar 20 % above and 20 % below
their true ratio. A verdict about time is wrong when it is the opposite of the truth; INCONCLUSIVE
is counted by itself. Exit 1 when one verdict was wrong.
"""
from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from graders.model import FAIL, INCONCLUSIVE, PASS, Pair  # noqa: E402
from graders.verdict import SignTest, plan  # noqa: E402

LAB = "03"
PROBES = ROOT / "tests" / "probes" / "03_string_building"
SOLUTION = "solutions/03_string_building"
RECORD = ROOT / "build" / "bench" / "verdicts.json"
MARGIN = Fraction(12, 10)


@dataclass
class Tally:
    """Verdicts about time, of runs whose truth is known."""
    name: str
    runs: int = 0
    wrong: int = 0
    undecided: int = 0

    def add(self, state: str, wrong_state: str) -> None:
        """Counts one verdict."""
        self.runs += 1
        self.wrong += state == wrong_state
        self.undecided += state == INCONCLUSIVE

    def __str__(self) -> str:
        return (f"{self.name}: {self.wrong} wrong, {self.undecided} inconclusive, "
                f"of {self.runs}")


@contextmanager
def busy(count: int) -> Iterator[None]:
    """So many loops run beside what happens inside."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def grade(submission: Optional[str], seed: int) -> Dict[str, Any]:
    """One grading; the whole report. Without a time verdict something else is broken: stop."""
    command = [sys.executable, "-m", "graders", "grade", "--format", "json", "--seed", str(seed)]
    command += ["--submission", submission] if submission else []
    done = subprocess.run([*command, LAB], cwd=ROOT, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          universal_newlines=True)
    report: Dict[str, Any] = json.loads(done.stdout) if done.stdout else {}
    if not report.get("time"):
        sys.exit(f"bench/verdicts.py: grading {submission or 'the lab as shipped'} gave no "
                 f"verdict about time: {done.stderr.strip() or report.get('error')}")
    return report


def live(runs: int, loops: int) -> Tally:
    """Shipped and solution in turn, with busy loops beside them; the reports are kept."""
    tally = Tally(f"live, {loops} busy loops")
    reports: List[Dict[str, Any]] = []
    seconds: List[float] = []
    with busy(loops):
        for run in range(runs):
            solved = run % 2 == 1
            report = grade(SOLUTION if solved else None, run + 1)
            tally.add(report["time"]["state"], FAIL if solved else PASS)
            reports.append(report)
            seconds.append(report["seconds"])
    print(f"{tally}; {statistics.median(seconds):.1f} s median, {max(seconds):.1f} s at most",
          flush=True)
    RECORD.parent.mkdir(parents=True, exist_ok=True)
    RECORD.write_text(json.dumps(reports))
    return tally


def decoys(runs: int) -> Tally:
    """The same code at other addresses never passes."""
    files = sorted(PROBES.glob("moved_*.c"))
    tally = Tally("layout decoys")
    for run in range(runs):
        report = grade(str(files[run % len(files)].relative_to(ROOT)), run + 1)
        tally.add(report["time"]["state"], PASS)
    print(tally, flush=True)
    return tally


def replays(runs: int, reports: Sequence[Dict[str, Any]]) -> Tally:
    """Recorded pairs, drawn again, against bars 20 % beside their true ratio."""
    tally = Tally("replays of recorded pairs")
    pools = [pool for pool in map(usable_pairs, by_side(reports)) if pool]
    for run in range(runs if pools else 0):
        pool = pools[run % len(pools)]
        above = run // len(pools) % 2 == 0
        true_ratio = Fraction(statistics.median(Fraction(pair.slow_ns, pair.student_ns)
                                                for pair in pool))
        bar = true_ratio * MARGIN if above else true_ratio / MARGIN
        tally.add(replay(pool, bar, run), PASS if above else FAIL)
    print(tally, flush=True)
    return tally


def by_side(reports: Sequence[Dict[str, Any]]) -> List[List[Dict[str, Any]]]:
    """The recorded pairs of the shipped version, and those of the solution."""
    return [[pair for report in reports[side::2] for pair in report["time"]["pairs"]]
            for side in (0, 1)]


def usable_pairs(recorded: Sequence[Dict[str, Any]]) -> List[Pair]:
    """The pairs that counted."""
    return [Pair(**pair) for pair in recorded if not pair["discarded"]]


def replay(pool: Sequence[Pair], bar: Fraction, seed: int) -> str:
    """Lets the test run on pairs drawn from the pool, layouts as it asks for them."""
    rng = random.Random(seed)
    test = SignTest(bar)
    by_layout: Dict[Any, List[Pair]] = {}
    for pair in pool:
        by_layout.setdefault((pair.slow_layout, pair.student_layout), []).append(pair)
    for slot in plan(rng, test):
        test.add(rng.choice(by_layout[slot.slow_layout, slot.student_layout]))
    return test.decide().state


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench/verdicts.py",
                                     description="How often the grader is wrong about lab 03.")
    parser.add_argument("--live", type=int, default=40, metavar="N", help="gradings under load")
    parser.add_argument("--busy", type=int, default=2, metavar="N", help="busy loops beside them")
    parser.add_argument("--decoys", type=int, default=40, metavar="N", help="gradings of decoys")
    parser.add_argument("--replays", type=int, default=2000, metavar="N", help="replays")
    options = parser.parse_args(arguments)
    tallies: List[Tally] = []
    if options.live:
        tallies.append(live(options.live, options.busy))
    if options.decoys:
        tallies.append(decoys(options.decoys))
    if options.replays:
        if not RECORD.exists():
            sys.exit("bench/verdicts.py: nothing is recorded yet: run with --live 8 first")
        tallies.append(replays(options.replays, json.loads(RECORD.read_text())))
    return 1 if any(tally.wrong for tally in tallies) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
