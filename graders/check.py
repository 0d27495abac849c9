"""Checks a lab item by item: for its author, for `make test`, and for whoever changes a grader.

    python3 -m graders check 08         what lab 08 lacks, and whether it does what it promises
    python3 -m graders check            every lab
    python3 -m graders check --all      every grading with every compiler and level
    python3 -m graders check --quick    time only as shipped and solved, and where it alone decides

A lab that lacks a file that gradings need is not graded: what is missing comes first.
"""
from __future__ import annotations

import argparse
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Callable, List, Sequence

from . import anatomy, lab as labs, trials
from .model import GraderError, Lab, SubmissionError
from .plain import in_colour, printable, show
from .trials import Found

OK, NOT_YET = "ok", "no"
COLOURS = {OK: "32", NOT_YET: "31"}


@dataclass
class Report:
    """Prints each item as it is known, for people or as TAP, and counts."""
    tap: bool = False
    colour: bool = field(default_factory=in_colour)
    passed: int = 0
    failed: int = 0

    def item(self, title: str, run: Callable[[], Found]) -> bool:
        """Runs one item. Whatever goes wrong in it is a complaint."""
        self._waiting(title)
        started = time.monotonic()
        try:
            found, remark = run()
        except (GraderError, SubmissionError) as error:
            found, remark = [str(error)], ""
        self.passed, self.failed = self.passed + (not found), self.failed + bool(found)
        self._line(title, found, remark, time.monotonic() - started)
        return not found

    def heading(self, words: str) -> None:
        show(f"# {words}\n" if self.tap else f"\n  {words}\n")

    def end(self) -> int:
        total = self.passed + self.failed
        if self.tap:
            show(f"1..{total}\n")
        elif self.failed:
            show(f"\n  {self.failed} of {total} items are missing or wrong.\n")
        else:
            show(f"\n  All {total} items are right.\n")
        return 1 if self.failed else 0

    def _line(self, title: str, found: Sequence[str], remark: str, seconds: float) -> None:
        took = f" {seconds:.1f} s" if seconds >= 1 else ""
        words = printable(f"{title}{': ' if remark else ''}{remark}{took}")
        if self.tap:
            show(f"{'not ' if found else ''}ok {self.passed + self.failed} - {words}\n")
        else:
            mark = NOT_YET if found else OK
            mark = f"\x1b[{COLOURS[mark]}m{mark}\x1b[0m" if self.colour else mark
            show(f"{self._clear()}    {mark}  {words}\n")
        for complaint in found:
            show(f"{'# ' if self.tap else '        '}{printable(complaint)}\n")

    def _waiting(self, title: str) -> None:
        if self.colour and not self.tap:
            show(f"        {title} ..."[:shutil.get_terminal_size().columns - 1])

    def _clear(self) -> str:
        return "\r\x1b[K" if self.colour else ""



def check(options: argparse.Namespace) -> int:
    """One lab, or all of them and what lies beside them."""
    report = Report(options.tap)
    folders = labs.folders(options.root)
    if options.lab:
        folders = [labs.find(options.root, options.lab)]
    else:
        report.heading("All labs")
        report.item("no folder without a lab", lambda: _strangers(options.root))
    for folder in folders:
        _lab(report, options.root, folder, options.depth)
    return report.end()


def _lab(report: Report, root: Path, folder: Path, depth: str) -> None:
    report.heading(f"Lab {folder.name[:2]}: {folder.name[3:]}")
    read: List[Lab] = []
    if not report.item("lab.ini can be read", lambda: _read(folder, read)):
        return
    lab = read[0]
    for one in anatomy.CHECKS:
        report.item(_title(one), partial(_complaints, one, lab))
    if not anatomy.gradable(lab):
        return
    with ThreadPoolExecutor(max_workers=len(os.sched_getaffinity(0))) as pool:
        for alone, group in groupby(trials.trials(lab, root, depth), lambda one: one.alone):
            found = [(one.name, one.run if alone else pool.submit(one.run).result)
                     for one in group]
            for name, run in found:
                report.item(name, run)


def _read(folder: Path, into: List[Lab]) -> Found:
    into.append(labs.read(folder))
    return [], ""


def _complaints(one: anatomy.Check, lab: Lab) -> Found:
    return list(one(lab)), ""


def _strangers(root: Path) -> Found:
    return [f"{place}/{name}: has no lab; remove it, or add labs/{name}"
            for place, names in anatomy.strangers(root).items() for name in names], ""


def _title(one: anatomy.Check) -> str:
    return (one.__doc__ or one.__name__).strip()
