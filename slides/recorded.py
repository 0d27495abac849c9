"""Measurements as they are kept: a command's output below lines that say where it was taken.

    # command: python3 -m graders bench 03
    # machine: AMD EPYC, 2 cores, Linux 6.1
    # compiler: gcc 12.2.0
    # date: 2026-11-21

    BenchmarkLogExport/records=750-2    513    2343212 ns/op ...

Bodies are benchmark text, folded stacks (`main;find;strcmp 17`) or lines of `name key=value`.
"""
from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Tuple

from .excerpt import ROOT, SlideError

FOLDER = ROOT / "slides" / "measured"


@dataclass(frozen=True)
class Recording:
    """One file of slides/measured/."""
    name: str
    facts: Dict[str, str]
    body: str


@dataclass(frozen=True)
class Row:
    """One line of benchmark text."""
    name: str                   # LogExport/records=750
    version: str                # what "version:" said above it: slow, student
    keys: Dict[str, str]        # {"records": "750"}
    values: Dict[str, float]    # {"ns/op": 2343212.0}


def path_of(deck: str, name: str) -> Path:
    """Where a measurement of a deck is kept."""
    return FOLDER / f"{deck}.{name}.txt"


def load(deck: str, name: str) -> Recording:
    """Reads a recorded measurement."""
    path = path_of(deck, name)
    if not path.is_file():
        raise SlideError(f"slides/measured/{path.name} is not there; "
                         f"run python3 -m slides measure {deck} {name}")
    head, _, body = path.read_text(encoding="utf-8").partition("\n\n")
    facts = dict(re.findall(r"^# (\w+): (.*)$", head, re.MULTILINE))
    return Recording(f"{deck}.{name}", facts, body)


def machine(recording: Recording) -> str:
    """What stands below a picture: the machine and the compiler."""
    facts = recording.facts
    return ", ".join(facts[key] for key in ("machine", "compiler") if facts.get(key))


def rows(recording: Recording) -> List[Row]:
    """The benchmark lines, in order."""
    found, version = [], ""
    for line in recording.body.splitlines():
        if line.startswith("version: "):
            version = line[len("version: "):]
        match = re.match(r"Benchmark(\S+?)(?:-\d+)?\s+\d+\s+(.*)$", line)
        if match:
            found.append(row(match.group(1), version, match.group(2)))
    if not found:
        raise SlideError(f"slides/measured/{recording.name}.txt has no benchmark line; "
                         "take the measurement again")
    return found


def row(name: str, version: str, text: str) -> Row:
    """One benchmark line, taken apart."""
    keys = dict(part.split("=", 1) for part in name.split("/") if "=" in part)
    pairs = re.findall(r"(\S+) (\S+)", re.sub(r"\s+", " ", text))
    return Row(name, version, keys, {unit: float(value) for value, unit in pairs})


def stacks(recording: Recording) -> List[Tuple[Tuple[str, ...], int]]:
    """Folded stacks: the functions from the outermost to the innermost, and the weight."""
    found = []
    for line in recording.body.splitlines():
        names, _, count = line.rpartition(" ")
        if names and count.isdigit():
            found.append((tuple(names.split(";")), int(count)))
    return found


def records(recording: Recording) -> List[Dict[str, str]]:
    """Lines of `name key=value ...`, each as a dictionary; the first word is "name"."""
    found = []
    for line in recording.body.splitlines():
        words = line.split()
        if words and not line.startswith("#"):
            found.append({"name": words[0],
                          **dict(word.split("=", 1) for word in words[1:] if "=" in word)})
    return found
