"""What every lab has, seen without running it: files, questions, README.md, NOTES.md, probes.

Each check is a function of a lab's folder that yields complaints: one line that names the thing,
where it is, and what mends it. Its documentation is the line that the author reads.
"""
from __future__ import annotations

import re
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Mapping, Set, Tuple

from . import diagnosis, evidence, files, lab as labs, probes, readme, record
from .model import GraderError, Lab
from .plain import short

FILES = ("README.md", "lab.ini", "lab.h", "slow.c", "student.c", "workload.c", "answers.ini")
SOLUTION = ("student.c", "answers.ini", "NOTES.md", record.FILE)
BLANK_MARK = "FILL IN"          # what new-lab leaves for the author to write
WORDS = (300, 700)              # of README.md, code blocks left out
QUIZ_ITEMS, QUIZ_WORDS = 4, 15  # questions, and the least that explains one
WORDS_A_MINUTE = (80, 250)      # between careful and quick reading
COMMANDS = ("", "-bench", "-profile", "-hint", "-watch", "-reset", " SUBMISSION=")
Complaints = Iterator[str]
Check = Callable[[Lab], Complaints]


def file_set(lab: Lab) -> Complaints:
    """files: all are there, and none that does not belong"""
    wanted: Dict[Path, Set[str]] = {lab.path: set(FILES), lab.solution: set(SOLUTION)}
    place = probes.folder(lab)
    if (place / probes.MANIFEST).exists():
        wanted[place] = {probe.path.name for probe in probes.read(lab)}
    wanted.setdefault(place, set()).add(probes.MANIFEST)
    for folder, names in wanted.items():
        there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
        for name in sorted(names - there):
            yield f"{_shown(lab, folder / name)}: is missing; {_how_to_get(lab, name)}"
        for name in sorted(there - names):
            yield (f"{_shown(lab, folder / name)}: does not belong here; remove it, or name it in "
                   f"{probes.MANIFEST}" if folder == place else
                   f"{_shown(lab, folder / name)}: does not belong here; remove it")


def nothing_left_blank(lab: Lab) -> Complaints:
    """nothing is left to fill in"""
    for folder in (lab.path, lab.solution, probes.folder(lab)):
        for path in sorted(folder.glob("*")) if folder.is_dir() else ():
            for number, line in enumerate(files.read(path).splitlines(), 1):
                if BLANK_MARK in line:
                    yield f"{_shown(lab, path)}:{number}: {short(line.strip(' */#|'), 90)}"


def manifest(lab: Lab) -> Complaints:
    """lab.ini: what is measured exists, and there is something to find"""
    try:
        evidence.validate(lab)
    except GraderError as error:
        yield str(error)
    if not lab.evidence and not lab.questions:
        yield f"labs/{lab.path.name}/lab.ini: has neither evidence nor questions; add one"


def shipped_code(lab: Lab) -> Complaints:
    """student.c ships as slow.c, below a heading of its own"""
    own, slow = (files.read(lab.path / name) for name in ("student.c", "slow.c"))
    where = f"labs/{lab.path.name}/student.c"
    for name, text in (("student.c", own), ("slow.c", slow)):
        if not files.heading(text):
            yield (f"labs/{lab.path.name}/{name}: does not begin with a comment; say in one what "
                   "the file is")
    if files.code(own) != files.code(slow):
        yield f"{where}: its code is not that of slow.c; make lab{lab.id}-reset makes it so"
    if "student.c" not in files.heading(own):
        yield f"{where}: its first comment does not say that student.c is the file to edit"


def answer_files(lab: Lab) -> Complaints:
    """answers.ini: blank as shipped, complete in the solution, asking what lab.ini asks"""
    wanted = [question.name for question in lab.questions]
    for path, blank in ((lab.path, True), (lab.solution, False)):
        where = _shown(lab, path / "answers.ini")
        given = diagnosis.read(lab, path / "answers.ini")
        if list(given) != wanted:
            yield (f"{where}: answers {', '.join(given) or 'nothing'}; lab.ini asks, in this "
                   f"order, {', '.join(wanted) or 'nothing'}")
        for name, value in given.items():
            if bool(value) == blank:
                yield f"{where}: {name} {'has an answer; take it out' if blank else 'is blank'}"
        asked = _comments(files.read(path / "answers.ini"))
        for question in lab.questions:
            if question.ask not in asked:
                yield f"{where}: no comment asks what lab.ini asks: '{short(question.ask, 60)}'"


def readme_shape(lab: Lab) -> Complaints:
    """README.md: title, headings, length, times and commands"""
    text = _readme(lab)
    prose, where = readme.prose(text), f"labs/{lab.path.name}/README.md"
    title = f"# Lab {lab.id}: {lab.title}"
    if not text.startswith(title + "\n"):
        yield f"{where}: does not begin with '{title}'"
    found = re.findall(r"^## (.*?) *$", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M), re.M)
    if tuple(found) != readme.HEADINGS:
        yield f"{where}: its headings are {found}; write {list(readme.HEADINGS)}"
    count = readme.words(text)
    if not WORDS[0] <= count <= WORDS[1]:
        yield f"{where}: has {count} words; write {WORDS[0]} to {WORDS[1]}"
    yield from _times(lab, prose, count, where)
    for command in COMMANDS:
        if f"make lab{lab.id}{command}" not in text:
            yield f"{where}: does not name the command 'make lab{lab.id}{command}'"


def readme_sections(lab: Lab) -> Complaints:
    """README.md: every section says something"""
    text = _readme(lab)
    for heading in readme.HEADINGS:
        words = readme.words(readme.section(text, heading))
        if words < 8:
            yield f"labs/{lab.path.name}/README.md: '{heading}' has {words} words; write it"


def readme_numbers(lab: Lab) -> Complaints:
    """README.md: its table is that of lab.ini"""
    yield from grading_complaints(lab, _readme(lab))


def quiz(lab: Lab) -> Complaints:
    """README.md: a quiz of four questions with explained answers"""
    items, where = readme.quiz(_readme(lab)), f"labs/{lab.path.name}/README.md"
    if len(items) != QUIZ_ITEMS:
        yield f"{where}: {len(items)} quiz questions of the form {readme.QUIZ_FORM}; write " \
              f"{QUIZ_ITEMS}"
    for number, item in enumerate(items, 1):
        if len(item.answer.split()) < QUIZ_WORDS:
            yield (f"{where}: quiz answer {number} has {len(item.answer.split())} words; explain "
                   f"it in {QUIZ_WORDS} or more")


def notes(lab: Lab) -> Complaints:
    """NOTES.md: figures from a recorded run, and when not to do it"""
    text = files.read(lab.solution / "NOTES.md")
    where = _shown(lab, lab.solution / "NOTES.md")
    if not re.search(r"^## .*\bnot\b", text, re.M | re.I):
        yield f"{where}: no heading says when not to do it; add '## When not to do it'"
    try:
        yield from record.complaints(lab, text)
    except GraderError as error:
        yield str(error)


def probe_set(lab: Lab) -> Complaints:
    """probes: enough of each kind, with the result that its kind stands for"""
    there = probes.read(lab)
    counts = {kind: [probe for probe in there if probe.kind == kind] for kind in probes.KINDS}
    where = f"tests/probes/{lab.path.name}"
    for kind, (least, meaning) in probes.KINDS.items():
        if len(counts[kind]) < least:
            yield (f"{where}: has {len(counts[kind])} files {kind}_*.c of {least} ({meaning}); "
                   f"add {least - len(counts[kind])} and their sections in {probes.MANIFEST}")
    for probe in there:
        passing = "PASS" in probe.states
        if probe.kind not in probes.KINDS:
            yield f"{where}/{probe.path.name}: begin its name with {', '.join(probes.KINDS)}"
        elif passing != (probe.kind in ("only", "other")):
            yield (f"{where}/{probes.MANIFEST}: [{probe.path.name}] state: "
                   f"{'PASS is' if passing else 'PASS is not'} what it says, and a probe of its "
                   f"name is {probes.KINDS[probe.kind][1]}")


CHECKS: Tuple[Check, ...] = (file_set, nothing_left_blank, manifest, shipped_code, answer_files,
                             readme_shape, readme_sections, readme_numbers, quiz, notes, probe_set)


def gradable(lab: Lab) -> bool:
    """Whether there is all that gradings need."""
    try:
        evidence.validate(lab)
        probes.read(lab)
    except GraderError:
        return False
    needed = [lab.path / name for name in FILES if name.endswith((".c", ".h", ".ini"))]
    needed += [lab.solution / name for name in ("student.c", "answers.ini")]
    return all(path.is_file() for path in (*needed, *(one.path for one in probes.read(lab))))


def grading_complaints(lab: Lab, text: str) -> Complaints:
    """Whether a README.md has the table that lab.ini makes."""
    where, marker = f"labs/{lab.path.name}/README.md", readme.GRADING
    body = readme.between(readme.section(text, "How it is graded"), marker)
    if body is None:
        yield (f"{where}: 'How it is graded' lacks a line <!-- {marker} --> and a line "
               f"<!-- {readme.END} --> below it; add both, then: "
               f"python3 -m graders readme {lab.id}")
    elif body != readme.grading_table(lab):
        yield f"{where}: its table differs from lab.ini: python3 -m graders readme {lab.id}"


def strangers(root: Path) -> Mapping[str, List[str]]:
    """Folders of solutions and probes without a lab, by the place they stand in."""
    topics = {path.name for path in labs.folders(root)}
    return {place: sorted(path.name for path in (root / place).glob("*")
                          if path.name not in topics)
            for place in ("labs", "solutions", "tests/probes")}


def _times(lab: Lab, prose: str, words: int, where: str) -> Complaints:
    reading = re.search(r"Reading time: (\d+) minutes?\b", prose)
    careful, quick = (words / speed for speed in WORDS_A_MINUTE)
    if not reading or not quick <= int(reading[1]) <= max(careful, 1):
        yield f"{where}: write 'Reading time: {max(1, round(words / 150))} minutes'"
    for line in (f"Work: {lab.minutes} minutes", f"Difficulty: {lab.difficulty} of 5"):
        if line not in prose:
            yield f"{where}: does not say '{line}', as lab.ini does"


def _how_to_get(lab: Lab, name: str) -> str:
    if name == record.FILE:
        return f"python3 -m graders record {lab.id} writes it"
    return "write it as labs/03_string_building and its neighbours have it"


def _comments(text: str) -> str:
    lines = (line.strip() for line in text.splitlines())
    return " ".join(line.lstrip("# ") for line in lines if line.startswith("#"))


def _readme(lab: Lab) -> str:
    return files.read(lab.path / "README.md")


def _shown(lab: Lab, path: Path) -> str:
    """The path as it is called from the repository's root."""
    return str(path.relative_to(lab.path.parent.parent))
