"""Checks the student's answers about slow.c: answers.ini against lab.ini and a measurement.

An answer counts when it lies in the interval of lab.ini, or near enough to what the grader
measured itself, or within the interval of a profile. A wrong one is told which command shows the
right one, never how far off it is.
"""
from __future__ import annotations

import math
import re
from fractions import Fraction
from pathlib import Path
from typing import Callable, Dict, Iterable, List, Mapping, Optional, Tuple

from .evidence import INTERVALS
from .model import Answer, GraderError, Lab, Question, Share
from .plain import short

NUMBER = re.compile(r"[+-]?(\d{1,18}(\.\d{0,18})?|\.\d{1,18})(e[+-]?\d{1,2})?")
DECORATION = re.compile(r"(?:~|about |\u2248|=)?\s*(.*?)\s*(?:x|\u00d7|%|times|fold)?", re.S)
GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?")       # 512,000, as the README writes
CLONE = re.compile(r"(\.(isra|constprop|part|cold|llvm)(\.\d+)*)+$")     # made by the compiler
COMMENT = re.compile(r"(^|\s)[#;].*")
ShareSource = Callable[[Question], Iterable[Share]]


def check(lab: Lab, answers_path: Optional[Path],
          measured: Mapping[str, float],
          shares: ShareSource = lambda question: ()) -> Tuple[Answer, ...]:
    """Every question of the lab, checked, in the order of lab.ini.

    ``measured`` holds the grader's own measurements by the name of the question; ``shares`` finds
    shares in profiles, and is asked only when lab.ini alone does not accept an answer. Without a
    file at ``answers_path`` every answer is blank, so that a student.c alone can be graded.
    """
    given = read(lab, answers_path) if answers_path and answers_path.exists() else {}
    return tuple(_answer(question, given.get(question.name, ""), measured.get(question.name),
                         shares) for question in lab.questions)


def read(lab: Lab, path: Path) -> Dict[str, str]:
    """The answers as they are written. Errors name the file, the line and the fix."""
    given: Dict[str, str] = {}
    in_section = False
    for number, raw in enumerate(_text(path).split("\n"), 1):
        where = f"{path}:{number}"
        line = COMMENT.sub("", raw).strip()
        if line.startswith("["):
            in_section = _section(where, line)
        elif line:
            if not in_section:
                raise GraderError(f"{where}: answers stand below a line [answers]; "
                                  "put it above this one")
            name, value = _key(where, line, lab)
            if name in given:
                raise GraderError(f"{where}: '{name}' is answered twice; delete one of the lines")
            given[name] = value
    return given


def parse_number(text: str) -> Tuple[Optional[Fraction], str]:
    """The number in a friendly notation (2, ~2, 16x, 72 %, 512,000), or None and what to write."""
    match = DECORATION.fullmatch(text.strip().lower())
    core = match[1] if match else ""
    if GROUPED.fullmatch(core):
        core = core.replace(",", "")
    if NUMBER.fullmatch(core):
        return Fraction(core), ""
    if re.fullmatch(r"[+-]?\d+,\d+", core):
        return None, f"write the decimals after a point: {core.replace(',', '.')}"
    return None, "write a number only, for example 3 or 0.5"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise GraderError(f"{path}: byte {error.start} is not UTF-8; "
                          "save the file as UTF-8") from None
    except OSError as error:
        raise GraderError(f"{path}: cannot be read: {error.strerror}; make it a readable file, "
                          "or restore it with 'make labNN-reset'") from None


def _section(where: str, line: str) -> bool:
    if line.lower() != "[answers]":
        raise GraderError(f"{where}: the only section is [answers], this is '{short(line)}'; "
                          "write [answers]")
    return True


def _key(where: str, line: str, lab: Lab) -> Tuple[str, str]:
    key, equals, value = line.partition("=")
    name = key.strip().lower()
    if not equals:
        raise GraderError(f"{where}: '{short(line)}' is no answer; write 'question = answer'")
    known = [question.name for question in lab.questions]
    if name not in known:
        raise GraderError(f"{where}: '{short(name)}' is not a question of lab {lab.id}; "
                          f"its questions are: {', '.join(known) or 'none'}")
    return name, value.strip()


def _answer(question: Question, given: str, measured: Optional[float],
            shares: ShareSource = lambda question: ()) -> Answer:
    seen: List[Share] = []

    def noted() -> Iterable[Share]:
        for share in shares(question) if question.measure in INTERVALS else ():
            seen.append(share)
            yield share
    passed, text = _judge(question, given, measured, noted)
    return Answer(question=question, given=given, measured=seen[-1].value if seen else measured,
                  passed=passed, text=text)


def _judge(question: Question, given: str, measured: Optional[float],
           shares: Callable[[], Iterable[Share]] = tuple) -> Tuple[bool, str]:
    shown = short(given)
    if not given:
        return False, f"not answered yet: {question.how}"
    if question.kind == "word":
        passed = _plain(given) in map(_plain, question.words)
    elif question.kind == "words":
        passed = _are_all(question, given)
        shown += "" if passed else f" ({len(question.words)} are wanted, with commas between)"
    else:
        number, advice = parse_number(given)
        if number is None:
            return False, f"'{shown}' cannot be read as a number: {advice}"
        passed = (_within(question, number) or _near(question, number, measured)
                  or any(_inside(question, number, share) for share in shares()))
    if passed:
        return True, f"{shown} is right"
    return False, f"{shown} is not what slow.c does; look again: {question.how}"


def _are_all(question: Question, given: str) -> bool:
    """Whether every word is there, in any order, and no other one."""
    wanted = [{_plain(word) for word in entry.split("|")} for entry in question.words]
    bare = re.sub(r"\([^()]*\)", "", given)     # a function's, which may hold commas
    said = {_plain(word) for word in re.split(r"[,;\s]+", bare) if word}
    return (all(names & said for names in wanted)
            and all(any(word in names for names in wanted) for word in said))


def _within(question: Question, number: Fraction) -> bool:
    return (question.low is not None and question.high is not None
            and question.low <= number <= question.high)


def _near(question: Question, number: Fraction, measured: Optional[float]) -> bool:
    if measured is None or question.tolerance is None or not math.isfinite(measured):
        return False
    target = Fraction(measured)
    return abs(number - target) <= question.tolerance * abs(target)


def _inside(question: Question, number: Fraction, share: Share) -> bool:
    """Whether it lies in the interval, which the tolerance makes wider: people round."""
    tolerance = question.tolerance or Fraction(0)
    return ((1 - tolerance) * Fraction(share.low) <= number
            <= (1 + tolerance) * Fraction(share.high))


def _plain(word: str) -> str:
    """A name as it is compared: without quotes, the () of a function, a compiler's suffix."""
    bare = re.sub(r"\(.*\)$", "", word.strip().strip("'\"`")).strip()
    return CLONE.sub("", bare)
