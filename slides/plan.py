"""What a deck measures and draws: the INI file beside it.

    [measure.bench]
    run = python3 -m graders bench 03 --submission solutions/03_string_building

    [picture.growth]
    kind = curves
    data = bench
    ...

pictures.py explains the keys of each kind of picture.
"""
from __future__ import annotations

import configparser
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Mapping, Tuple

from .excerpt import SlideError


@dataclass(frozen=True)
class Section:
    """One section: a measurement or a picture of a deck."""
    deck: str
    name: str
    keys: Mapping[str, str]

    @property
    def where(self) -> str:
        """For messages."""
        return f"slides/{self.deck}.ini: {self.name}"

    def need(self, key: str) -> str:
        """The value of a key that must be there."""
        if key not in self.keys:
            raise SlideError(f"{self.where} has no '{key}'; add it")
        return self.keys[key]

    def get(self, key: str, default: str = "") -> str:
        """The value of a key, or the default."""
        return self.keys.get(key, default)

    def lines(self, key: str) -> List[str]:
        """The value of a key as lines."""
        return [line.strip() for line in self.need(key).splitlines() if line.strip()]


def sections(path: Path, kind: str) -> List[Section]:
    """The sections `[kind.NAME]` of the INI file beside a deck; none without a file."""
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",))
    try:
        parser.read(path.with_suffix(".ini"), encoding="utf-8")
    except configparser.Error as error:
        raise SlideError(f"{path.with_suffix('.ini').name}: {error}") from error
    return [Section(path.stem, name[len(kind) + 1:], values(parser, name))
            for name in parser.sections() if name.startswith(kind + ".")]


def values(parser: configparser.ConfigParser, name: str) -> Dict[str, str]:
    """The keys of a section."""
    return dict(parser.items(name))


def split(line: str, count: int) -> Tuple[str, ...]:
    """The parts of a line, which bars separate; "" for those that are not there."""
    parts = [part.strip() for part in line.split("|")]
    return tuple(parts[:count] + [""] * (count - len(parts)))
