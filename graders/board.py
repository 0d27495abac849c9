"""The board: how far one is with each lab. Every grading of one's own files leaves a note.

A note is one JSON file a lab, below saved/notes (or $PERFLAB_BUILD/notes), which git ignores and
`make clean` leaves alone. It is replaced whole; one that cannot be read counts as none.

    {"state": "faster, not there", "passed": false, "best": 4.2, "next": "...", "files": "sha..."}

A lab once passed stays passed, and ``best`` is the best ratio that was ever measured.
"""
from __future__ import annotations

import hashlib
import json
import os
import textwrap
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Iterator, List, NamedTuple, Optional, Sequence

from . import diagnosis, files, lab as labs
from .model import ERROR, INCONCLUSIVE, PASS, GraderError, Lab, Result
from .plain import printable, short
from .screen import next_step, times

NOT_STARTED, NOT_WORKING, PASSED = "not started", "not working", "passed"
SLOWER, NO_FASTER, FASTER = "slower", "no faster", "faster, not there"
UNDECIDED, EVIDENCE, ANSWERS = "undecided", "evidence missing", "answers missing"
BROKEN = "lab.ini is broken"
COLOURS = {PASSED: "32", NOT_STARTED: "2", NOT_WORKING: "31", BROKEN: "31"}
OTHER_COLOUR = "33"
WIDTH, TITLE_WIDTH = 80, 24
NOTICEABLE = 1.05       # less than that is what another layout of the same code gives


@dataclass(frozen=True)
class Note:
    """What is known of one's work on one lab."""
    state: str = NOT_STARTED
    passed: bool = False
    best: Optional[float] = None
    next: str = ""                  # the next step of the last report
    files: str = ""                 # fingerprint of what was graded last


class Row(NamedTuple):
    """A line of the board."""
    id: str
    title: str
    state: str
    best: str
    next: str
    advice: str                     # the next step in a sentence, when a grading gave one


def note_path(root: Path, lab_id: str) -> Path:
    """Where the note of a lab is kept."""
    base = os.environ.get("PERFLAB_BUILD")
    return (Path(base) if base else root / "saved") / "notes" / f"{lab_id}.json"


def remember(root: Path, lab: Lab, result: Result, fingerprint: str) -> None:
    """Keeps what a grading said. A lost note is no reason to fail the grading."""
    path = note_path(root, lab.id)
    before = recall(path)
    ratios = [ratio for ratio in (before.best, _ratio(result)) if ratio is not None]
    note = Note(state_of(result), before.passed or result.state == PASS,
                max(ratios, default=None), result.next_step or next_step(result), fingerprint)
    try:
        files.keep(path, json.dumps(asdict(note)) + "\n")
    except GraderError:
        pass


def recall(path: Path) -> Note:
    """The note, as far as it makes sense: people and disks do things to files."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        known = {field.name: data[field.name] for field in fields(Note) if field.name in data}
        return _checked(Note(**known))
    except (OSError, ValueError, TypeError, RecursionError):
        return Note()


def state_of(result: Result) -> str:
    """How far this submission is, in a few words."""
    if result.state == ERROR or result.error_kind or result.outputs_text:
        return NOT_WORKING
    time = result.time
    if (time and time.state == INCONCLUSIVE) or any(one.undecided for one in result.findings):
        return UNDECIDED
    if time and time.state != PASS:
        if time.high * NOTICEABLE < 1:
            return SLOWER
        return FASTER if time.low > NOTICEABLE else NO_FASTER
    if not all(finding.passed for finding in result.findings):
        return EVIDENCE
    return PASSED if result.state == PASS else ANSWERS


def fingerprint(lab: Lab) -> str:
    """What one's own two files hold now."""
    digest = hashlib.sha256()
    for name in ("student.c", "answers.ini"):
        text = _bytes(lab.path / name)
        digest.update(len(text).to_bytes(8, "little") + text)
    return digest.hexdigest()[:16]


def rows(root: Path) -> List[Row]:
    """The board. A lab whose lab.ini is broken has a line like any other."""
    return [_row(root, folder) for folder in labs.folders(root)]


def text(table: Sequence[Row], colour: bool = False) -> str:
    """The board as it is printed, at most 80 columns wide."""
    head = Row("lab", "", "state", "best", "next step", "")
    lines = [_line(head, "2" if colour else "")]
    for row in table:
        lines.append(_line(row, COLOURS.get(row.state, OTHER_COLOUR) if colour else ""))
    for sentence in _footer(table):
        lines += ["", *textwrap.wrap(printable(sentence), WIDTH, initial_indent="  ",
                                     subsequent_indent="  ", break_on_hyphens=False)]
    return "\n".join(["", *lines, "", ""])


def _row(root: Path, folder: Path) -> Row:
    number = folder.name[:2]
    try:
        lab = labs.read(folder)
    except GraderError as error:
        return Row(number, folder.name[3:], BROKEN, "", "see below", str(error))
    note = recall(note_path(root, lab.id))
    untouched = _as_shipped(lab)
    state = PASSED if note.passed else NOT_STARTED if untouched else note.state
    stale = not untouched and note.files != fingerprint(lab)
    best = times(note.best) if note.best is not None and state != NOT_STARTED else ""
    return Row(lab.id, lab.title, "not graded yet" if state == NOT_STARTED and stale else state,
               best, _next(lab, note, untouched, stale), _advice(lab, note, untouched, stale))


def _next(lab: Lab, note: Note, untouched: bool, stale: bool) -> str:
    """The command to type next: short enough for a column."""
    make = f"make lab{lab.id}"
    if untouched:
        return f"{make}-quiz" if note.passed else f"{make} ({lab.minutes} min)"
    if stale:
        return f"{make} (edited)"
    if note.state == PASSED:
        return f"{make}-quiz"
    if note.passed:
        return f"now {note.state}"
    return {UNDECIDED: "make doctor", ANSWERS: "fill in answers.ini"}.get(
        note.state, f"{make}-hint")


def _advice(lab: Lab, note: Note, untouched: bool, stale: bool) -> str:
    """The next step in a sentence."""
    if untouched:
        return f"read labs/{lab.path.name}/README.md, then: make lab{lab.id}"
    return f"you have edited it since. Grade it: make lab{lab.id}" if stale else note.next


def _as_shipped(lab: Lab) -> bool:
    """Whether nobody has edited anything: the code of slow.c, and no answer."""
    slow, own = (_bytes(lab.path / name).decode("utf-8", "replace")
                 for name in ("slow.c", "student.c"))
    if files.code(slow) != files.code(own):
        return False
    try:
        answers = lab.path / "answers.ini"
        return not answers.exists() or not any(diagnosis.read(lab, answers).values())
    except GraderError:
        return False


def _line(row: Row, style: str) -> str:
    state = row.state.ljust(18)
    if style:
        state = f"\x1b[{style}m{state}\x1b[0m"
    title = short(row.title, TITLE_WIDTH).ljust(TITLE_WIDTH)
    return f"  {row.id:4}{title}  {state} {row.best:>6}  {row.next}".rstrip()


def _footer(table: Sequence[Row]) -> Iterator[str]:
    """How many are passed, and the next step for the lab that one is at."""
    yield f"{sum(row.state == PASSED for row in table)} of {len(table)} passed."
    yield from (row.advice for row in table if row.state == BROKEN)
    at_work = [row for row in table
               if row.state not in (PASSED, BROKEN, NOT_STARTED)]
    fresh = [row for row in table if row.state == NOT_STARTED]
    if at_work:
        yield f"Next, lab {at_work[0].id}: {at_work[0].advice}"
    elif fresh:
        yield f"Next, lab {fresh[0].id}: {fresh[0].advice}"


def _ratio(result: Result) -> Optional[float]:
    return result.time.ratio if result.time and result.time.counted else None


def _checked(note: Note) -> Note:
    """Refuses values of a wrong kind, which would break the table later."""
    best: Any = note.best
    number = best is None or (isinstance(best, (int, float)) and 0 < best < float("inf"))
    words = all(isinstance(value, str) for value in (note.state, note.next, note.files))
    if not number or not words or len(note.state) > TITLE_WIDTH or note.passed not in (True, False):
        raise ValueError("not a note")
    return note


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
