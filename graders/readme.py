"""A lab's README.md as data: its sections, its quiz, and the tables made from lab.ini.

What stands between a marker and `<!-- end -->` is generated; everything else is written by hand.
"""
from __future__ import annotations

import re
from fractions import Fraction
from typing import Iterator, List, NamedTuple, Optional, Sequence, Tuple

from .model import EvidenceSpec, GraderError, Lab

HEADINGS = ("Goal", "Background", "Task", "Profile it", "How it is graded", "Hints", "Quiz",
            "Go further")
GRADING, LABS, RECORDED = "from lab.ini: grading", "from lab.ini: labs", "recorded"
END = "end"
QUIZ_FORM = ("number, question, <details><summary>Answer</summary> text </details>, as in "
             "labs/03_string_building/README.md")
ITEM = re.compile(r"^\d+\.[ ](?P<ask>.*?)\n+\s*<details>\s*<summary>.*?</summary>\s*?\n"
                  r"(?P<answer>.*?)</details>", re.S | re.M)
FENCE = re.compile(r"^```.*?^```", re.S | re.M)


class QuizItem(NamedTuple):
    """A question and its explained answer: Markdown without indentation."""
    ask: str
    answer: str


def prose(text: str) -> str:
    """What a student reads: without code blocks and markup."""
    return re.sub(r"<[^>]*>", "", FENCE.sub("", text))


def words(text: str) -> int:
    """How many words a student reads; the lines of a table are none."""
    return sum(any(char.isalnum() for char in word) for word in prose(text).split())


def section(text: str, heading: str) -> str:
    """What stands below ``## heading``; "" without it."""
    parts = re.split(rf"^## {re.escape(heading)}[ ]*$", text, flags=re.M)
    return re.split(r"^## ", parts[1], flags=re.M)[0] if len(parts) > 1 else ""


def quiz(text: str) -> Tuple[QuizItem, ...]:
    """The questions of the section Quiz."""
    return tuple(QuizItem(_dedent(match["ask"]), _dedent(match["answer"]))
                 for match in ITEM.finditer(section(text, "Quiz")))


def between(text: str, marker: str) -> Optional[str]:
    """What stands between a marker and the end; None without the two."""
    match = _region(marker).search(text)
    return match["body"] if match else None


def replaced(text: str, marker: str, body: str, where: str) -> str:
    """The text with another body between the marker and the end."""
    if not _region(marker).search(text):
        raise GraderError(f"{where}: a line <!-- {marker} --> and a line <!-- {END} --> below it "
                          "are missing; put them where the table belongs")
    return _region(marker).sub(lambda match: match["head"] + body + match["tail"], text, count=1)


def grading_table(lab: Lab) -> str:
    """How it is graded, from lab.ini."""
    return table(("part", "points", "what has to hold"), list(_grading_rows(lab)))


def labs_table(labs: Sequence[Lab]) -> str:
    """The labs, for README.md of the repository."""
    return table(("lab", "what you learn", "minutes", "level"),
                  [(f"[{lab.id} {lab.title}](labs/{lab.path.name}/README.md)", lab.summary,
                    str(lab.minutes), f"{lab.difficulty} of 5") for lab in labs])


def _grading_rows(lab: Lab) -> Iterator[Tuple[str, ...]]:
    time, evidence, diagnosis = lab.points
    if lab.clock != "none":
        clock = "elapsed time" if lab.clock == "wall" else "processor time"
        yield ("Time", str(time), f"more than {number(lab.bar)} times as fast as `slow.c`, in "
               f"{clock}, at n = {lab.n:,}")
    for place, spec in enumerate(lab.evidence):
        yield ("" if place else "Evidence", "" if place else str(evidence),
               f"{spec.title}: {limits(spec)}{_sizes(lab, spec)}")
    if lab.questions:
        names = ", ".join(f"`{question.name}`" for question in lab.questions)
        yield ("Diagnosis", str(diagnosis), f"your answers in `answers.ini`: {names}")


def limits(spec: EvidenceSpec) -> str:
    """Between what the value has to lie."""
    return " and ".join(f"{word} {number(limit)}" for word, limit in
                        (("at most", spec.maximum), ("at least", spec.minimum))
                        if limit is not None)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = ["|".join(f" {cell} " if cell else " " for cell in row) for row in (head, *rows)]
    return "".join(f"|{line}|\n" for line in (lines[0], "|".join(["---"] * len(head)), *lines[1:]))


def number(value: Fraction) -> str:
    """A limit as people write it: 10, 1.35, 65,536."""
    return f"{float(value):,.10g}"


def _sizes(lab: Lab, spec: EvidenceSpec) -> str:
    """The sizes, where they are not n."""
    return "" if spec.sizes == (lab.n,) else f", for n = {_list(spec.sizes)}"


def _list(sizes: Sequence[int]) -> str:
    words = [f"{size:,}" for size in sizes]
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _region(marker: str) -> "re.Pattern[str]":
    return re.compile(rf"(?P<head>^<!-- {re.escape(marker)} -->\n)(?P<body>.*?)"
                      rf"(?P<tail>^<!-- {END} -->$)", re.S | re.M)


def _dedent(text: str) -> str:
    """The lines without the indentation that makes them a part of a list."""
    lines: List[str] = [re.sub(r"^ {1,3}", "", line.rstrip()) for line in text.splitlines()]
    return "\n".join(lines).strip("\n")
