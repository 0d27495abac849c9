"""Makes the folders of a new lab from template/: they build, and `check` says what is missing.

In the template's files @id@, @topic@ and @title@ stand for the lab's; student.c and the solution
begin as copies of slow.c.
"""
from __future__ import annotations

import argparse
import re
import shutil
from pathlib import Path
from typing import Dict

from . import files, lab as labs, readme
from .model import GraderError
from .plain import short

TEMPLATE = Path(__file__).resolve().parent / "template"
WANTED = re.compile(r"(?:(\d\d)[_-])?([a-z][a-z0-9_]*)")
STUDENT = """\
/* student.c: the one C file of lab @id@ to edit. It begins as a copy of slow.c and works: it is
   only slow. You may change everything below, add functions and include headers; what lab.h says
   stays true. Then run: make lab@id@ */
"""
SOLVED = """\
/* FILL IN: the solution of lab @id@ in a sentence. Here is still the code of slow.c. */
"""
NEXT = """\
  Lab {id} is in labs/{name}, solutions/{name} and tests/probes/{name}.
  It builds:                 make lab{id}
  What is still missing:     make check-labs LAB={id}
  How to write a lab:        CONTRIBUTING.md
"""


def new_lab(options: argparse.Namespace) -> int:
    """The folders of lab NN_topic: the number after the highest there is, or the one given."""
    number, topic = _named(options.root, options.topic)
    name = f"{number}_{topic}"
    words = {"id": number, "topic": topic, "title": topic.replace("_", " ").capitalize()}
    places = {"lab": options.root / "labs" / name, "solution": options.root / "solutions" / name,
              "probes": options.root / "tests" / "probes" / name}
    for place in places.values():
        if place.exists():
            raise GraderError(f"{place} is there already; remove it, or choose another topic")
    try:
        for kind, place in places.items():
            _write(TEMPLATE / kind, place, words)
        _finish(places["lab"], places["solution"], words)
    except BaseException:               # half a lab would stand in the way of the next try
        for place in places.values():
            shutil.rmtree(place, ignore_errors=True)
        raise
    print(NEXT.format(id=number, name=name), end="")
    return 0


def _named(root: Path, wanted: str) -> "tuple[str, str]":
    match = WANTED.fullmatch(wanted.strip())
    if not match:
        raise GraderError(f"'{short(wanted)}' is no topic; write small letters, digits and _, for "
                          "example: make new-lab NAME=ring_buffers")
    taken = {folder.name[:2]: folder.name[3:] for folder in labs.folders(root)}
    number = match[1] or f"{max(map(int, taken), default=-1) + 1:02}"
    if number in taken or match[2] in taken.values():
        other = taken.get(number, match[2])
        raise GraderError(f"'{short(wanted)}': there is a lab {other} with this number or topic; "
                          "numbers and topics never change, choose others")
    if len(number) > 2:
        raise GraderError("all numbers up to 99 are taken; remove a lab that was never out")
    return number, match[2]


def _write(source: Path, place: Path, words: Dict[str, str]) -> None:
    for path in sorted(source.iterdir()):
        files.keep(place / path.name, _filled(files.read(path), words))


def _finish(lab: Path, solution: Path, words: Dict[str, str]) -> None:
    """What is made from the other files."""
    code = files.code(files.read(lab / "slow.c"))
    files.keep(lab / "student.c", _filled(STUDENT, words) + code)
    files.keep(solution / "student.c", _filled(SOLVED, words) + code)
    made = labs.read(lab)
    page = lab / "README.md"
    files.keep(page, readme.replaced(files.read(page), readme.GRADING, readme.grading_table(made),
                                     str(page)))


def _filled(text: str, words: Dict[str, str]) -> str:
    for key, value in words.items():
        text = text.replace(f"@{key}@", value)
    return text
