"""Finds the labs and reads their lab.ini, the only place with a lab's numbers.

docs/lab-ini.md describes the format. Whatever is wrong in a lab.ini is a GraderError of one line
that names file, section, key and the fix: nobody should have to read this file to write a lab.
"""
from __future__ import annotations

import configparser
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Callable, Iterable, Iterator, List, Optional, Set, Tuple, TypeVar

from .model import EvidenceSpec, GraderError, Lab, Question
from .plain import short

Value = TypeVar("Value")
FOLDER = re.compile(r"(\d\d)_([a-z][a-z0-9_]*)")
NAME = re.compile(r"[a-z][a-z0-9_]*")
NUMBER = re.compile(r"-?\d{1,18}(\.\d{1,18}|/[1-9]\d{0,17})?")
SECTIONS = ("lab", "points", "time", "profile", "oracle", "hints")
HINTS = ("1", "2", "3")


def folders(root: Path) -> List[Path]:
    """The folders of all labs, in the order of their numbers."""
    return sorted(path for path in (root / "labs").glob("*")
                  if path.is_dir() and FOLDER.fullmatch(path.name))


def all_labs(root: Path) -> Tuple[Lab, ...]:
    """Every lab. A broken lab.ini is an error: see ``load`` for one lab alone."""
    return tuple(read(path) for path in _unique(folders(root)))


def load(root: Path, wanted: str) -> Lab:
    """The lab that is called so: see ``find``."""
    return read(find(root, wanted))


def find(root: Path, wanted: str) -> Path:
    """The folder of ``03``, ``3``, ``lab03``, ``string_building`` or ``03_string_building``."""
    key = wanted.strip().lower()
    digits = key[3:] if key.startswith("lab") else key
    number = digits.zfill(2) if digits.isdigit() else ""
    found = _unique(folders(root))
    for path in found:
        match = FOLDER.fullmatch(path.name)
        if match and (key == path.name or number == match[1] or key == match[2]):
            return path
    if not found:
        raise GraderError(f"no labs in {root / 'labs'}: run this in a checkout of perflab")
    known = ", ".join(path.name.replace("_", " ", 1) for path in found)
    raise GraderError(f"there is no lab '{short(wanted)}'; the labs are: {known}")


def read(path: Path) -> Lab:
    """The lab in the folder ``path``."""
    manifest = _Manifest(path)
    lab = manifest.section("lab")
    time = manifest.section("time")
    clock = time.choice("clock", "cpu", "wall", "none")
    number, topic = _identity(lab, path.name)
    n = time.integer("n", 1)
    threads, slow_threads = _threads(time, clock)
    result = Lab(
        id=number, topic=topic, title=lab.text("title"), summary=lab.text("summary"),
        path=path, solution=path.parent.parent / "solutions" / path.name,
        minutes=lab.integer("minutes", 1), difficulty=lab.integer("difficulty", 1, 5),
        clock=clock, bar=Fraction(1) if clock == "none" else _bar(time), n=n,
        threads=threads, slow_threads=slow_threads,
        profile=manifest.optional("profile").choice("kind", "cpu", "leaks", default="cpu"),
        oracle_sizes=manifest.section("oracle").sizes("sizes", least=0),
        points=_points(manifest.section("points")),
        evidence=_together(_evidence(section, name, n)
                           for name, section in manifest.many("evidence")),
        questions=tuple(_question(section, name, n)
                        for name, section in manifest.many("question")),
        hints=_hints(manifest.section("hints")), bench_time=_bench_time(time))
    manifest.finish()
    if clock == "none" and result.points[0]:
        raise GraderError(f"{manifest.name}: [points] time: has to be 0 where clock = none")
    return result


class _Section:
    """One section; every key that is read is noted, so that the others can be refused."""

    def __init__(self, path: str, name: str, values: configparser.SectionProxy) -> None:
        self.where = f"{path}: [{name}]"
        self._values = values
        self._read: Set[str] = set()

    def error(self, key: str, what: str) -> GraderError:
        return GraderError(f"{self.where} {short(key)}: {what}")

    def text(self, key: str, default: Optional[str] = None) -> str:
        """The value on one line; an empty one is as good as none."""
        return " ".join(self.lines(key, default).split())

    def lines(self, key: str, default: Optional[str] = None) -> str:
        """The value with its line breaks."""
        self._read.add(key)
        value = (self._values.get(key) or "").strip()
        if value:
            return value
        if default is None:
            raise self.error(key, f"is missing; add a line '{key} = ...'")
        return default

    def choice(self, key: str, *allowed: str, default: Optional[str] = None) -> str:
        value = self.text(key, default)
        if value not in allowed:
            raise self.error(key, f"'{short(value)}' is unknown; write {' or '.join(allowed)}")
        return value

    def integer(self, key: str, least: int, most: int = 10 ** 12,
                default: Optional[int] = None) -> int:
        text = self.text(key, None if default is None else str(default))
        return self._integer(key, text, least, most)

    def sizes(self, key: str, least: int = 1, default: Optional[int] = None) -> Tuple[int, ...]:
        text = self.text(key, None if default is None else str(default))
        return tuple(self._integer(key, word, least, 10 ** 12)
                     for word in text.replace(",", " ").split())

    def fraction(self, key: str, example: str) -> Fraction:
        value = self.text(key)
        if not NUMBER.fullmatch(value):
            raise self.error(key, f"'{short(value)}' is not a number; write for example {example}")
        return Fraction(value)

    def maybe(self, key: str, reader: Callable[[str, str], Value], example: str) -> Optional[Value]:
        """What ``reader`` makes of the key, or None without the key."""
        return reader(key, example) if self.text(key, "") else None

    def finish(self) -> None:
        for key in self._values:
            if key not in self._read:
                known = ", ".join(sorted(self._read))
                raise self.error(key, f"is an unknown key; this section has {known}")

    def _integer(self, key: str, word: str, least: int, most: int) -> int:
        if not re.fullmatch(r"\d{1,18}", word):
            raise self.error(key, f"'{short(word)}' is not a whole number; write for example 5")
        if not least <= int(word) <= most:
            raise self.error(key, f"{word} is not within {least} to {most}")
        return int(word)


class _Manifest:
    """A lab.ini that was split into sections."""

    def __init__(self, folder: Path) -> None:
        self.name = "/".join((*folder.parts[-2:], "lab.ini"))
        self._parser = configparser.ConfigParser(
            interpolation=None, strict=True, delimiters=("=",), default_section="",
            empty_lines_in_values=False)
        self._sections: List[_Section] = []
        try:
            self._parser.read_string((folder / "lab.ini").read_text(encoding="utf-8"))
        except OSError as error:
            raise GraderError(f"{self.name}: cannot be read: {error.strerror}; "
                              f"restore it with 'git checkout {self.name}'") from None
        except UnicodeDecodeError as error:
            raise GraderError(f"{self.name}: byte {error.start} is not UTF-8; "
                              "save the file as UTF-8") from None
        except configparser.Error as error:
            raise GraderError(f"{self.name}{_explain(error)}") from None

    def section(self, name: str) -> _Section:
        if not self._parser.has_section(name):
            raise GraderError(f"{self.name}: section [{name}] is missing; docs/lab-ini.md shows it")
        section = _Section(self.name, name, self._parser[name])
        self._sections.append(section)
        return section

    def optional(self, name: str) -> _Section:
        """The section, which may be missing: then it is empty."""
        if not self._parser.has_section(name):
            self._parser.add_section(name)
        return self.section(name)

    def many(self, kind: str) -> Iterator[Tuple[str, _Section]]:
        """The sections [kind.NAME], in the order of the file."""
        for full in self._parser.sections():
            head, _, name = full.partition(".")
            if head == kind:
                if not NAME.fullmatch(name):
                    raise GraderError(f"{self.name}: [{short(full)}]: the name after the point "
                                      "is made of small letters, digits and _")
                yield name, self.section(full)

    def finish(self) -> None:
        """Refuses what no one asked for."""
        for full in self._parser.sections():
            if full not in SECTIONS and full.partition(".")[0] not in ("evidence", "question"):
                known = ", ".join((*SECTIONS, "evidence.NAME", "question.NAME"))
                raise GraderError(f"{self.name}: [{short(full)}] is an unknown section; "
                                  f"there are {known}")
        for section in self._sections:
            section.finish()


def _identity(section: _Section, folder: str) -> Tuple[str, str]:
    match = FOLDER.fullmatch(folder)
    if not match:
        raise GraderError(f"labs/{folder}: a lab's folder is called NN_topic, "
                          "for example 03_string_building")
    for key, expected in (("id", match[1]), ("topic", match[2])):
        if section.text(key) != expected:
            raise section.error(key, f"'{short(section.text(key))}' does not fit the folder "
                                     f"{folder}; write {expected}")
    return match[1], match[2]


def _bar(section: _Section) -> Fraction:
    bar = section.fraction("bar", "4 or 3/2")
    if bar < 1:
        raise section.error("bar", f"{bar} would let slower code pass; write 1 or more")
    return bar


def _threads(section: _Section, clock: str) -> Tuple[int, int]:
    """How many compute at once, in student.c and in slow.c. CPU time is that of one processor."""
    if clock == "cpu":
        return 1, 1
    threads = section.integer("threads", 1, 64, 2 if clock == "wall" else 1)
    return threads, section.integer("slow_threads", 1, 64, threads) if clock == "wall" else threads


def _bench_time(section: _Section) -> str:
    value = section.text("bench_time", "1s")
    if not re.fullmatch(r"[1-9]\d{0,5}(us|ms|s|x)", value):
        raise section.error("bench_time", f"'{short(value)}' is no time; write for example 200ms")
    return value


def _points(section: _Section) -> Tuple[int, int, int]:
    time, evidence, diagnosis = (section.integer(key, 0, 100)
                                 for key in ("time", "evidence", "diagnosis"))
    if time + evidence + diagnosis != 100:
        raise section.error("time + evidence + diagnosis",
                            f"these add up to {time + evidence + diagnosis}; make it 100")
    return time, evidence, diagnosis


def _evidence(section: _Section, name: str, n: int) -> EvidenceSpec:
    spec = EvidenceSpec(
        name=name, kind=_word(section, "kind"), title=section.text("title"),
        maximum=section.maybe("max", section.fraction, "1.35"),
        minimum=section.maybe("min", section.fraction, "0.5"),
        sizes=section.sizes("sizes", default=n), because=section.text("because"),
        counter=_word(section, "counter", ""), bench=section.text("bench", ""))
    if spec.maximum is None and spec.minimum is None:
        raise section.error("max", "is missing; give max, min or both")
    _ordered(section, "min", spec.minimum, "max", spec.maximum)
    return spec


def _together(found: Iterable[EvidenceSpec]) -> Tuple[EvidenceSpec, ...]:
    """Tells each piece of evidence about a benchmark of the others."""
    specs = tuple(found)
    benches = tuple(spec.bench for spec in specs if spec.bench)
    return tuple(replace(spec, benches=benches) if spec.bench else spec for spec in specs)


def _question(section: _Section, name: str, n: int) -> Question:
    question = Question(
        name=name, ask=section.text("ask"), kind=section.choice("kind", "number", "word", "words"),
        measure=_word(section, "measure", ""), low=section.maybe("low", section.fraction, "1.8"),
        high=section.maybe("high", section.fraction, "2.2"),
        tolerance=section.maybe("tolerance", section.fraction, "0.2"),
        sizes=section.sizes("sizes", default=n),
        machine=section.choice("machine", "yes", "no", default="no") == "yes",
        how=section.text("how"), function=section.text("function", ""),
        counter=_word(section, "counter", ""), bench=section.text("bench", ""))
    if question.kind != "number":
        for key in ("low", "high", "tolerance"):
            if section.text(key, ""):
                raise section.error(key, "is for numbers; a word has 'words = ...'")
        words = section.text("words").replace(",", " ").split()
        return replace(question, words=tuple(words))
    _answerable(section, question)
    return question


def _answerable(section: _Section, question: Question) -> None:
    """A number needs an interval, or a measurement with a tolerance; it may have both."""
    if (question.low is None) != (question.high is None):
        raise section.error("low" if question.low is None else "high",
                            "is missing; low and high go together")
    if bool(question.measure) != (question.tolerance is not None):
        raise section.error("tolerance" if question.measure else "measure",
                            "is missing; measure and tolerance go together")
    if question.low is None and question.tolerance is None:
        raise section.error("low", "is missing; give low and high, or measure and tolerance")
    if question.tolerance is not None and not 0 < question.tolerance < 1:
        raise section.error("tolerance", f"{question.tolerance} is not between 0 and 1; "
                                         "it is relative, write for example 0.2")
    _ordered(section, "low", question.low, "high", question.high)


def _ordered(section: _Section, low: str, least: Optional[Fraction],
             high: str, most: Optional[Fraction]) -> None:
    if least is not None and most is not None and least > most:
        raise section.error(low, f"{least} is above {high}, {most}; exchange them")


def _hints(section: _Section) -> Tuple[str, ...]:
    return tuple(section.lines(key) for key in HINTS)


def _word(section: _Section, key: str, default: Optional[str] = None) -> str:
    value = section.text(key, default)
    if value and not NAME.fullmatch(value):
        raise section.error(key, f"'{short(value)}' is not a name of small letters, digits and _")
    return value


def _unique(found: List[Path]) -> List[Path]:
    """Refuses two labs of one number: 'make lab03' would mean either."""
    for first, second in zip(found, found[1:]):
        if first.name[:2] == second.name[:2]:
            raise GraderError(f"labs/{first.name} and labs/{second.name} have the same number; "
                              "give one of them another")
    return found


def _explain(error: configparser.Error) -> str:
    """Where and what of configparser's errors, in words that name the fix."""
    if isinstance(error, configparser.MissingSectionHeaderError):
        return f":{error.lineno}: text before the first section; begin with [lab]"
    if isinstance(error, configparser.ParsingError) and error.errors:
        return f":{error.errors[0][0]}: neither '[section]' nor 'key = value'"
    if isinstance(error, configparser.DuplicateSectionError):
        return f":{error.lineno}: [{short(error.section)}] is there twice; join the two"
    if isinstance(error, configparser.DuplicateOptionError):
        return (f":{error.lineno}: [{short(error.section)}] {short(error.option)}: is there twice; "
                "delete one of the two")
    return f": {short(str(error), 200)}"
