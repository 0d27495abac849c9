"""How often the grader is wrong: on a busy machine, on decoys, and in replays.

    python3 bench/verdicts.py                   every lab, all three
    python3 bench/verdicts.py --lab 03 --live 8 --decoys 0 --replays 200
    python3 bench/verdicts.py --busy 0          the same on an idle machine
    python3 bench/verdicts.py --quick           a few of each
    python3 bench/verdicts.py --markdown FILE   writes the table for bench/README.md too

Live: a lab as shipped and with the solution, in turn, while busy loops and a program that fills
memory run beside the grader. Decoys: slow.c merely moved in memory (tests/probes), which must not
pass. Replays: the pairs that the live runs recorded, drawn again at random and judged against a
bar 20 % above and 20 % below their true ratio. A verdict about time is wrong when it is the
opposite of the truth; of a lab without a clock the whole verdict counts. INCONCLUSIVE is counted
by itself. Exit 1 when one verdict was wrong.

The pairs of the last live runs stay in build/bench/verdicts-NN.json; --live 0 replays them again.
"""
from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from graders import lab  # noqa: E402
from graders.model import FAIL, INCONCLUSIVE, PASS, Pair  # noqa: E402
from graders.verdict import LAYOUTS, SignTest, plan  # noqa: E402

RECORDS = ROOT / "build" / "bench"
HOG = "block = bytearray(256 << 20)\nwhile True: block[::4096] = bytes(65536)"
MARGIN = Fraction(12, 10)
HEAD = """| lab | live gradings, wrong (median) | layout decoys, wrong | replays, wrong |
|---|---|---|---|
"""


@dataclass
class Tally:
    """Verdicts about time, of runs whose truth is known."""
    name: str
    runs: int = 0
    wrong: int = 0
    undecided: int = 0
    seconds: List[float] = field(default_factory=list)      # that gradings took

    def add(self, state: str, wrong_state: str) -> None:
        """Counts one verdict."""
        self.runs += 1
        self.wrong += state == wrong_state
        self.undecided += state == INCONCLUSIVE

    def __str__(self) -> str:
        took = (f"; {statistics.median(self.seconds):.1f} s median, {max(self.seconds):.1f} s at "
                "most" if self.seconds else "")
        return (f"{self.name}: {self.wrong} wrong, {self.undecided} inconclusive, "
                f"of {self.runs}{took}")

    def cell(self) -> str:
        """The same for a table."""
        words = f"{self.wrong} of {self.runs:,}" if self.runs else "-"
        words += f", {self.undecided} open" if self.undecided else ""
        return words + (f" ({statistics.median(self.seconds):.1f} s)" if self.seconds else "")


class Subject:
    """A lab with its solution, its decoys, and what is recorded of it."""

    def __init__(self, folder: Path) -> None:
        self.lab = lab.read(folder)
        self.solution = f"solutions/{folder.name}"
        self.decoys = sorted((ROOT / "tests" / "probes" / folder.name).glob("moved_*.c"))
        self.record = RECORDS / f"verdicts-{self.lab.id}.json"

    def grade(self, submission: Optional[str], seed: int) -> Dict[str, Any]:
        """One grading; the whole report. Without a verdict something else is broken: stop."""
        command = [sys.executable, "-m", "graders", "grade", "--format", "json", "--seed",
                   str(seed), *(["--submission", submission] if submission else [])]
        done = subprocess.run([*command, self.lab.id], cwd=ROOT, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              universal_newlines=True)
        report: Dict[str, Any] = json.loads(done.stdout) if done.stdout else {}
        if not report or report["error"] or not (report["time"] or self.lab.clock == "none"):
            sys.exit(f"bench/verdicts.py: grading {submission or 'the lab as shipped'} gave no "
                     f"verdict: {done.stderr.strip() or report.get('error')}")
        return report

    def state(self, report: Dict[str, Any]) -> str:
        """The verdict that can be wrong."""
        return str(report["time"]["state"] if report["time"] else report["state"])


@contextmanager
def busy(count: int) -> Iterator[None]:
    """So many loops run beside what happens inside, and one program that fills memory."""
    programs = ["while True: pass"] * count + [HOG] * (count > 0)
    loops = [subprocess.Popen([sys.executable, "-c", program]) for program in programs]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def live(subject: Subject, runs: int, loops: int) -> Tally:
    """Shipped and solution in turn, with busy loops beside them; the reports are kept."""
    beside = f"{loops} busy loops and a memory hog" if loops else "nothing else running"
    tally = Tally(f"lab {subject.lab.id}, live, {beside}")
    reports: List[Dict[str, Any]] = []
    with busy(loops):
        for run in range(runs):
            solved = run % 2 == 1
            report = subject.grade(subject.solution if solved else None, run + 1)
            tally.add(subject.state(report), FAIL if solved else PASS)
            reports.append(report)
            tally.seconds.append(report["seconds"])
    print(tally, flush=True)
    RECORDS.mkdir(parents=True, exist_ok=True)
    subject.record.write_text(json.dumps(reports))
    return tally


def decoys(subject: Subject, runs: int) -> Tally:
    """The same code at other addresses never passes."""
    tally = Tally(f"lab {subject.lab.id}, layout decoys")
    for run in range(runs if subject.decoys else 0):
        decoy = subject.decoys[run % len(subject.decoys)]
        report = subject.grade(str(decoy.relative_to(ROOT)), run + 1)
        tally.add(subject.state(report), PASS)
        tally.seconds.append(report["seconds"])
    print(tally, flush=True)
    return tally


def replays(subject: Subject, runs: int) -> Tally:
    """Recorded pairs, drawn again, against bars 20 % beside their true ratio."""
    tally = Tally(f"lab {subject.lab.id}, replays of recorded pairs")
    if not subject.record.exists():
        sys.exit(f"bench/verdicts.py: nothing is recorded of lab {subject.lab.id} yet: "
                 "run with --live 8 first")
    reports = json.loads(subject.record.read_text())
    pools = [pool for pool in map(usable_pairs, by_side(reports)) if covers_all_layouts(pool)]
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
    return [[pair for report in reports[side::2] if report["time"]
             for pair in report["time"]["pairs"]] for side in (0, 1)]


def covers_all_layouts(pool: Sequence[Pair]) -> bool:
    """Whether every combination was measured, so that the test can ask for any."""
    return len({(pair.slow_layout, pair.student_layout) for pair in pool}) == LAYOUTS ** 2


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


def tallies(subject: Subject, options: argparse.Namespace) -> List[Tally]:
    """Live runs, decoys and replays of one lab, as many as asked for."""
    nothing = Tally("not asked for")
    return [
        live(subject, options.live, options.busy) if options.live else nothing,
        decoys(subject, options.decoys) if options.decoys else nothing,
        (replays(subject, options.replays) if options.replays and subject.lab.clock != "none"
         else nothing)]


def row(name: str, three: Sequence[Tally]) -> str:
    """A line of the table."""
    return f"| {name} | {' | '.join(tally.cell() for tally in three)} |\n"


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench/verdicts.py",
                                     description="How often the grader is wrong.")
    parser.add_argument("--lab", action="append", metavar="NN", help="this lab; default: all")
    parser.add_argument("--live", type=int, default=40, metavar="N", help="gradings of each lab")
    parser.add_argument("--busy", type=int, default=2, metavar="N",
                        help="busy loops beside them; 0: an idle machine")
    parser.add_argument("--decoys", type=int, default=20, metavar="N", help="gradings of decoys")
    parser.add_argument("--replays", type=int, default=2000, metavar="N", help="replays")
    parser.add_argument("--quick", action="store_true", help="--live 4 --decoys 2 --replays 200")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there")
    options = parser.parse_args(arguments)
    if options.quick:
        options.live, options.decoys, options.replays = 4, 2, 200
    folders = ([lab.load(ROOT, name).path for name in options.lab] if options.lab
               else lab.folders(ROOT))
    subjects = [Subject(folder) for folder in folders]
    found = {subject.lab.id: tallies(subject, options) for subject in subjects}
    if options.markdown:
        options.markdown.write_text(HEAD + "".join(row(name, found[name]) for name in found))
    return 1 if any(tally.wrong for three in found.values() for tally in three) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
