"""The one screen that a student reads, and the one next step on it.

Every part is a row: what, whether it holds, why, and its points. Rows are laid out in plain
characters first and coloured last, so that columns stay where they are.
"""
from __future__ import annotations

import re
import shlex
import textwrap
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Iterable, List, Optional, Sequence, Tuple, TypeVar

from .model import FAIL, INCONCLUSIVE, PASS, Answer, Finding, Result, TimeVerdict
from .plain import printable, short

Item = TypeVar("Item")
Row = Tuple[Optional[bool], str]        # whether it holds (None: open), and the words
LABEL, MARK = 11, 6                     # widths of the columns; the text takes what is left
DETAIL_LINES = 12                       # more than that is in --format json
COMMAND = re.compile(r"\bmake (?=\w)")   # stays on one line with its target
OK, NOT_YET, OPEN = "ok", "no", "open"
COLOURS = {OK: "32", PASS: "1;32", NOT_YET: "33", FAIL: "1;31", "ERROR": "1;31",
           OPEN: "36", INCONCLUSIVE: "1;36", "dim": "2", "bold": "1"}

HEADLINES = {
    "compile": "student.c does not compile",
    "link": "student.c does not link",
    "crash": "your code crashed",
    "hang": "your code did not finish",
    "forbidden": "your code uses something that is not allowed in a lab",
    "early-exit": "your code ended the whole program",
    "wrong-output": "the output is not right yet",
    "memory": "your code ran out of memory",
    "output-too-large": "the output is far too large",
    "protocol": "your code disturbed the talk between worker and grader",
}
FIXES = {
    "compile": "Fix the first message; the later ones often follow from it. Then: {again}",
    "link": "Define what lab.h declares, under exactly that name, and no main. Then: {again}",
    "crash": "Look for an index past the end, a pointer used after free, or a missing byte for "
             "the final NUL. Then: {again}",
    "hang": "Look for a loop whose condition never becomes false. Then: {again}",
    "forbidden": "Take it out: {lab}/lab.h says what your code has to do. Then: {again}",
    "early-exit": "Return from the function instead of ending the program. Then: {again}",
    "wrong-output": "Compare what was expected with what came; {lab}/lab.h says what the result "
                    "has to be. Then: {again}",
    "memory": "Check the sizes you ask malloc for, and free what you no longer need. "
              "Then: {again}",
    "output-too-large": "Check the length of what you return. Then: {again}",
    "protocol": "Leave descriptors that you did not open alone. Then: {again}",
}


def text(result: Result, colour: bool = False, width: int = 80, under_make: bool = False) -> str:
    """The screen. ``under_make`` explains the line that make adds below it."""
    screen = _Screen(colour, width)
    screen.line(f"Lab {result.lab.id}: {result.lab.title}", "bold")
    _facts(screen, result)
    screen.blank()
    if result.error_kind:
        _error(screen, result)
    else:
        _parts(screen, result)
        screen.blank()
        screen.row(result.state, "", _total(result), style=result.state, wide=True)
    screen.blank()
    screen.row("Next", "", result.next_step or next_step(result), style="bold", wide=True)
    if under_make and result.state != PASS:
        screen.blank()
        screen.line('(The "Error" that make reports below only means: not PASS yet.)', "dim")
    screen.blank()
    return screen.finish()


def next_step(result: Result) -> str:
    """The one thing to do next."""
    again, lab = _again(result), f"labs/{result.lab.path.name}"
    if result.error_kind:
        return FIXES.get(result.error_kind, "Fix that, then: {again}").format(
            again=again, lab=lab)
    if result.outputs_text:
        return f"Make the output right first; speed counts after that. Then: {again}"
    if result.state == PASS:
        return _after_pass(result)
    if result.state == INCONCLUSIVE:
        return _to_a_decision(result, again)
    return _toward_pass(result, again, lab)


def ratio_words(time: TimeVerdict) -> str:
    """The ratio both ways: as a factor, and as a change of the time."""
    ratio = time.ratio
    if not time.counted:
        return "no pair of runs could be counted"
    if time.low <= 1 <= time.high or abs(ratio - 1) < 0.005:
        return f"about as fast as slow.c ({times(ratio)})"
    if ratio > 1:
        return f"{times(ratio)} faster than slow.c, {_less(1 - 1 / ratio)} % less time"
    return f"slower than slow.c ({times(ratio)}), {100 * (1 / ratio - 1):,.0f} % more time"


def times(ratio: float) -> str:
    """A factor with about three digits: 0.98x, 2.31x, 52.3x, 1,240x."""
    digits = 2 if ratio < 10 else 1 if ratio < 100 else 0
    return f"{ratio:,.{digits}f}x"


@dataclass
class _Screen:
    """Lines of a fixed width in three columns, and points at the right edge."""
    colour: bool
    width: int

    def __post_init__(self) -> None:
        self.width = max(self.width, 60)
        self._lines: List[str] = []

    def blank(self) -> None:
        self._lines.append("")

    def line(self, words: str, style: str = "") -> None:
        self._lines.append(self._paint(short(words, self.width - 2), style))

    def row(self, label: str, mark: str, words: str, points: str = "",
            style: str = "", wide: bool = False) -> None:
        """One row; words that do not fit go on below. ``wide``: no column for a mark."""
        cells = [(label, style)] if wide else [(label, ""), (mark, mark)]
        widths = [max(LABEL, len(label) + 2)] if wide else [LABEL, MARK]
        head = "  " + "".join(self._paint(cell.ljust(size), shade)
                              for (cell, shade), size in zip(cells, widths))
        room = self.width - 2 - sum(widths)
        for number, line in enumerate(_wrap(words, room, room - len(points))):
            start = " " * (2 + sum(widths)) if number else head
            end = "" if number else points.rjust(room - len(line)) if points else ""
            self._lines.append(start + self._paint(line, style if style == "dim" else "") + end)

    def verbatim(self, words: str) -> None:
        """Text whose columns matter, such as a compiler's messages."""
        lines = printable(words).strip("\n").split("\n")
        for line in lines[:DETAIL_LINES]:
            self._lines.append("    " + line[:self.width - 4])
        if len(lines) > DETAIL_LINES:
            self._lines.append(f"    ... {len(lines) - DETAIL_LINES} more lines")

    def finish(self) -> str:
        return "\n".join(line.rstrip() for line in self._lines) + "\n"

    def _paint(self, words: str, style: str) -> str:
        if not self.colour or style not in COLOURS or not words:
            return words
        return f"\x1b[{COLOURS[style]}m{words}\x1b[0m"


def _wrap(words: str, width: int, first: int) -> List[str]:
    """Lines of at most ``width``, the first one of at most ``first`` characters."""
    kept = width - first
    whole = COMMAND.sub("make\0", printable(" ".join(words.split())))
    lines = textwrap.wrap(whole, width, break_on_hyphens=False, initial_indent=" " * kept)
    lines = [line.replace("\0", " ") for line in lines] or [" " * kept]
    return [lines[0][kept:], *lines[1:]]


def _facts(screen: _Screen, result: Result) -> None:
    machine = result.machine
    screen.row("code", "", str(_shown(result)), style="dim", wide=True)
    screen.row("built by", "", f"{machine.compiler} {machine.flags}, slow.c the same",
               style="dim", wide=True)
    screen.row("machine", "", f"{machine.processor}, {machine.cores} cores, {machine.system}",
               style="dim", wide=True)
    layers = ", ".join(machine.sandbox) or "none"
    missing = f" (not here: {', '.join(machine.missing)})" if machine.missing else ""
    screen.row("sandbox", "", layers + missing, style="dim", wide=True)
    if machine.warnings:
        more = len(machine.warnings) - 1
        screen.row("warning", "", machine.warnings[0]
                   + (f" (and {more} more: make doctor)" if more else ""),
                   style=NOT_YET, wide=True)


def _error(screen: _Screen, result: Result) -> None:
    headline = HEADLINES.get(result.error_kind, "this could not be graded")
    screen.row(result.state, "", headline, style=result.state, wide=True)
    screen.blank()
    for line in textwrap.wrap(printable(result.error_text), screen.width - 4):
        screen.verbatim(line)
    if result.error_detail.strip():
        screen.blank()
        screen.verbatim(result.error_detail)


def _parts(screen: _Screen, result: Result) -> None:
    if result.outputs_text:
        screen.row("output", NOT_YET, result.outputs_text)
    else:
        screen.row("output", OK, f"right for all {result.outputs_checked} inputs")
    if result.time:
        _time(screen, result.time, _points(result, 0))
    _list(screen, "evidence", _evidence_rows(result.findings), _points(result, 1))
    _list(screen, "diagnosis", _diagnosis_rows(result.answers), _points(result, 2))


def _time(screen: _Screen, time: TimeVerdict, points: str) -> None:
    mark = {PASS: OK, FAIL: NOT_YET}.get(time.state, OPEN)
    screen.row("time", mark, f"{ratio_words(time)}; bar {_number(time.bar)}x", points)
    if time.counted:
        screen.row("", "", f"{time.wins} of {time.counted} pairs above it, interval "
                   f"{times(time.low)} to {times(time.high)} ({100 * time.confidence:.1f} %)",
                   style="dim")
        screen.row("", "", f"noise here {100 * time.noise:.1f} % (slow.c against itself)",
                   style="dim")
    screen.row("", "", f"wrong less than once in {round(1 / time.alpha):,}, if code at the bar "
               "is as likely to measure below it as above", style="dim")
    if time.note:
        screen.row("", "", f"note: {time.note}")


def _list(screen: _Screen, label: str, rows: Sequence[Row], points: str) -> None:
    for number, (passed, words) in enumerate(rows):
        mark = OPEN if passed is None else OK if passed else NOT_YET
        screen.row("" if number else label, mark, words, "" if number else points)


def _evidence_rows(findings: Sequence[Finding]) -> List[Row]:
    """A row for each finding; the first that does not hold says what that means."""
    rows = [(None if finding.undecided else finding.passed,
             _titled(finding.spec.title, finding.text)) for finding in findings]
    for number, finding in enumerate(findings):
        if not finding.passed and not finding.undecided:
            rows[number] = (False, f"{rows[number][1].rstrip('. ')}. {finding.spec.because}")
            break
    return rows


def _diagnosis_rows(answers: Sequence[Answer]) -> List[Row]:
    """A row for each answer, and one for all that are blank: the next step tells how to begin."""
    rows: List[Row] = [(answer.passed, _titled(answer.question.name, answer.text))
                       for answer in answers if answer.given]
    blank = ", ".join(answer.question.name for answer in answers if not answer.given)
    return rows + ([(False, f"{blank}: not answered yet")] if blank else [])


def _titled(title: str, words: str) -> str:
    return words if words.lower().startswith(title.lower()) else f"{title}: {words}"


def _points(result: Result, part: int) -> str:
    got, most = result.points[part], result.lab.points[part]
    return f"  {'?' if got is None else got}/{most}"


def _total(result: Result) -> str:
    pending = sum(most for got, most in zip(result.points, result.lab.points) if got is None)
    words = f"{sum(filter(None, result.points))} of {sum(result.lab.points)} points"
    if pending:
        words += f", {pending} pending"
    return f"{words} ({result.seconds:.1f} s, seed {result.seed})"


def _number(value: Fraction) -> str:
    return f"{float(value):.4g}"


def _less(share: float) -> str:
    """A percentage that is never rounded up to all of it."""
    for digits in range(4):
        words = f"{100 * share:.{digits}f}"
        if float(words) < 100:
            return words
    return "99.999"


def _again(result: Result) -> str:
    """The command that grades this submission again."""
    make = f"make lab{result.lab.id}"
    path, home = result.submission, result.lab.path
    if home == path or home in path.parents:
        return make
    return f"{make} SUBMISSION={shlex.quote(str(_shown(result)))}"


def _shown(result: Result) -> Path:
    """The submission as it is called from the repository's root, where make runs."""
    root = result.lab.path.parent.parent
    return (result.submission.relative_to(root) if root in result.submission.parents
            else result.submission)


def _after_pass(result: Result) -> str:
    if result.lab.solution.exists():
        return (f"Compare with solutions/{result.lab.solution.name}/NOTES.md, "
                "then choose another lab: make labs")
    return "Choose another lab: make labs"


def _to_a_decision(result: Result, again: str) -> str:
    time = result.time
    if time and not time.pairs:
        return ("Your code could not be timed here: the note says what is missing. On a machine "
                f"that has it: {again}")
    if not time or time.state != INCONCLUSIVE:
        return ("This machine does not tell what the open row needs; grade it on another one, or "
                f"outside of a container: {again}")
    if time.low <= time.bar <= time.high <= 1.1 * time.low:
        return ("Your code is right at the bar: a little faster, and it is decided. "
                f"Then: {again}")
    return ("The machine was too noisy to tell, which is not your fault. Close other programs; "
            f"make doctor names what disturbs. Then: {again}")


def _toward_pass(result: Result, again: str, lab: str) -> str:
    blank = _first(answer for answer in result.answers if not answer.given)
    wrong = _first(answer for answer in result.answers if not answer.passed)
    cause = _first(finding for finding in result.findings
                   if not finding.passed and not finding.undecided)
    faster = result.time is not None and result.time.state == PASS
    slow = result.time is not None and result.time.state == FAIL
    if (slow or (cause and not faster)) and blank:
        return (f"Measure before you change anything: {blank.question.how}. Write what you find "
                f"into {lab}/answers.ini, then: {again}")
    if slow or (cause and not faster):
        return (f"Now the code: {lab}/README.md explains the task, "
                f"make lab{result.lab.id}-hint gives a hint. Then: {again}")
    if cause:
        return (f"It is faster, but the cause is still there; make lab{result.lab.id}-hint "
                f"gives a hint. Then: {again}")
    if wrong:
        return f"Answer '{wrong.question.name}' in answers.ini: {wrong.question.how}. Then: {again}"
    return f"Grade it again: {again}"


def _first(items: Iterable[Item]) -> Optional[Item]:
    return next(iter(items), None)
