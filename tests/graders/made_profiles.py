"""Profiles made by hand, so that every number in a table is known."""
from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, List, Sequence, Tuple
from zlib import crc32

from graders import pprof
from graders.profile import (Function, Label, Line, Location, Mapping, Profile, Sample, ValueType)

TYPES = (ValueType("samples", "count"), ValueType("cpu", "nanoseconds"))
MS = 10 ** 6


def profile(stacks: Dict[str, int], **more: object) -> Profile:
    """A CPU profile of stacks such as "main;work;strlen", root first, in samples of 10 ms.

    "main:7" is line 7 of main; "outer+inner" is one address at which inner is inlined into outer.
    """
    functions: Dict[str, Function] = {}
    locations: Dict[str, Location] = {}
    samples: List[Sample] = []
    for stack, count in stacks.items():
        ids = []
        for frame in filter(None, stack.split(";")):
            if frame not in locations:
                locations[frame] = Location(len(locations) + 1, 1, 0x1000 + crc32(frame.encode()),
                                            _lines(frame, functions))
            ids.append(locations[frame].id)
        samples.append(Sample(tuple(reversed(ids)), (count, count * 10 * MS)))
    values: Dict[str, object] = dict(
        sample_types=TYPES, samples=tuple(samples), locations=tuple(locations.values()),
        functions=tuple(functions.values()), mappings=(Mapping(1, 0x1000, 0x9000, 0, "/opt/app"),),
        period_type=TYPES[1], period=10 * MS)
    return Profile(**{**values, **more})     # type: ignore[arg-type]


def full() -> Profile:
    """A profile in which every field of the format is in use."""
    made = profile({"main:3;outer:9+inner:5": 4, "main:4": 2})
    label = (Label("key", "text"), Label("bytes", "", 64, "bytes"), Label("minus", "", -5))
    return Profile(
        made.sample_types, (Sample((2, 1), (4, -7), label), *made.samples[1:]),
        (Mapping(1, 2 ** 63, 2 ** 64 - 1, 4096, "/opt/app", "ab12", True, True, True, True),),
        made.locations, (Function(1, "main", "_Zmain", "m\u00e9.c", 3), *made.functions[1:]),
        ValueType("cpu", "nanoseconds"), 10 * MS, 1_700_000_000 * 10 ** 9, 2 * 10 ** 9, "cpu",
        ("a comment", "another"), "drop", "keep", "https://example.org")


def write(folder: Path, name: str, made: Profile) -> Path:
    path = folder / name
    pprof.write(made, path)
    return path


def _lines(frame: str, functions: Dict[str, Function]) -> Tuple[Line, ...]:
    found = []
    for part in reversed(frame.split("+")):
        name, line = re.fullmatch(r"(.*?)(?::(\d+))?", part, re.S).groups()
        function = functions.setdefault(name, Function(len(functions) + 1, name, "", "app.c"))
        found.append(Line(function.id, int(line or 0)))
    return tuple(found)


def rows(text: str) -> List[Sequence[str]]:
    """The rows of a top table as words, the header left out."""
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.split()[:1] == ["flat"])
    return [line.split(None, 5) for line in lines[start + 1:]]
