"""The probes of a lab: submissions in tests/probes/NN_topic and what each of them must give.

probes.ini has a section for each C file. Its keys hold words, separated by blanks:

    state   the state of the result: any of the words
    fails   the parts that must not pass: time, and names of the lab's evidence; others must pass
    maybe   parts that may do either
    error   the kind of error, for code that gets no measurement: any of the words

The name says what a probe is for: see KINDS.
"""
from __future__ import annotations

import configparser
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, FrozenSet, List, Sequence, Tuple

from . import files
from .model import EXIT_CODES, PASS, GraderError, Lab, Result
from .plain import short

MANIFEST = "probes.ini"
KEYS = ("state", "fails", "maybe", "error")
# How many of each kind a lab has to have, and what they show.
KINDS: Dict[str, Tuple[int, str]] = {
    "only": (1, "only the named cause fixed: passes"),
    "kept": (1, "everything else made faster, the cause kept: fails"),
    "moved": (1, "slow.c at other addresses: does not pass"),
    "other": (3, "a correct design unlike the solution: passes"),
    "wrong": (3, "fast and wrong: fails with the reason"),
}


@dataclass(frozen=True)
class Probe:
    """One C file, and what it must give."""
    path: Path
    states: FrozenSet[str]
    fails: FrozenSet[str]
    maybe: FrozenSet[str]
    errors: FrozenSet[str]

    @property
    def kind(self) -> str:
        return self.path.name.partition("_")[0]

    @property
    def about(self) -> str:
        """The first sentence of the comment that the file begins with."""
        comment = files.heading(files.read(self.path)).strip().strip("/* \n")
        words = " ".join(comment.split())
        return re.split(r"(?<=[a-z0-9)])\. ", words)[0].rstrip(".")


def folder(lab: Lab) -> Path:
    """Where the lab's probes are."""
    return lab.path.parent.parent / "tests" / "probes" / lab.path.name


def read(lab: Lab) -> Tuple[Probe, ...]:
    """Every probe of the lab, in the order of probes.ini."""
    path = folder(lab) / MANIFEST
    where = f"tests/probes/{lab.path.name}/{MANIFEST}"
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",), default_section="")
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        raise GraderError(f"{where}: {short(str(error), 120)}; write a section for each C file, as "
                          "tests/probes/03_string_building has them") from None
    return tuple(_probe(lab, f"{where}: [{name}]", folder(lab) / name, dict(parser[name]))
                 for name in parser.sections())


def failed_parts(result: Result) -> List[str]:
    """The parts that did not pass: time, and evidence by name."""
    time = ["time"] if result.time and result.time.state != PASS else []
    return time + [found.spec.name for found in result.findings if not found.passed]


def complaints(probe: Probe, state: str, error: str, failed: Sequence[str],
               decided: Sequence[str]) -> List[str]:
    """What is other than probes.ini says; ``decided`` are the parts that were measured."""
    if probe.errors or error:
        if error in probe.errors:
            return []
        return [f"must be stopped by {_any(probe.errors)}, and was by {error or 'nothing'}"
                if probe.errors else f"must be measured, and was stopped by {error}"]
    found = [] if not state or state in probe.states else [
        f"must be {_any(probe.states)}, and is {state}"]
    for part in decided:
        if part not in probe.maybe and (part in failed) != (part in probe.fails):
            found.append(f"'{part}' must {'fail' if part in probe.fails else 'pass'}, and does not")
    return found


def _probe(lab: Lab, where: str, path: Path, keys: Dict[str, str]) -> Probe:
    words = {key: frozenset(keys.pop(key, "").split()) for key in KEYS}
    parts = {"time", *(spec.name for spec in lab.evidence)}
    unknown = {"state": words["state"] - set(EXIT_CODES), "key": set(keys),
               "part": (words["fails"] | words["maybe"]) - parts}
    for what, names in unknown.items():
        if names:
            raise GraderError(f"{where} '{short(min(names))}' is an unknown {what}; "
                              f"there are {', '.join(_known(what, parts))}")
    if not words["state"]:
        raise GraderError(f"{where} state is missing; write for example 'state = PASS'")
    return Probe(path, words["state"], words["fails"], words["maybe"], words["error"])


def _known(what: str, parts: "set[str]") -> Sequence[str]:
    return {"state": tuple(EXIT_CODES), "key": KEYS}.get(what, tuple(sorted(parts)))


def _any(words: FrozenSet[str]) -> str:
    return " or ".join(sorted(words))
