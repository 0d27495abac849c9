"""Pieces of the repository's files, as they stand on slides.

A marker before a code block says where the block comes from:

    <!-- code: labs/03_string_building/slow.c:append_field -->
    <!-- code: PATH:NAME | FIRST ... LAST | mark TEXT -->

NAME is a function, struct, enum, macro or benchmark; without it the piece is the whole file. FIRST
and LAST cut it down to the lines from one that contains FIRST up to the next one that contains
LAST. Lines with the marked text are shown on a coloured ground.
"""
from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import List, Sequence, Tuple

COLUMNS = 66        # what fits on a slide in letters that the back row can read
ROOT = Path(__file__).resolve().parent.parent


class SlideError(Exception):
    """A deck cannot be made. One line: what, where, the fix."""


@dataclass(frozen=True)
class Marker:
    """Where the code block after it comes from."""
    path: str
    name: str = ""
    first: str = ""
    last: str = ""
    mark: str = ""


def parse_marker(text: str) -> Marker:
    """The marker in the words after "code:"."""
    place, *options = [part.strip() for part in text.split(" | ")]
    path, _, name = place.partition(":")
    first = last = mark = ""
    for option in options:
        if option.startswith("mark "):
            mark = option[len("mark "):]
        else:
            first, _, last = (part.strip() for part in option.partition(" ... "))
    return Marker(path, name, first, last or first, mark)


def cut(marker: Marker) -> List[str]:
    """The lines that a marker names, fitted to a slide."""
    path = ROOT / marker.path
    if not path.is_file():
        raise SlideError(f"{marker.path} is not there; mend the marker that names it")
    text = path.read_text(encoding="utf-8")
    if path.parent.name == "measured":      # without the lines that say where it was taken
        text = text.partition("\n\n")[2]
    lines = text.splitlines()
    if marker.name:
        lines = definition(lines, marker)
    if marker.first:
        lines = between(lines, marker)
    return fitted(lines, path.suffix in (".c", ".h"))


def definition(lines: Sequence[str], marker: Marker) -> List[str]:
    """A function, type, macro or benchmark, from its first line to its last."""
    name = re.escape(marker.name)
    starts = (rf"[A-Za-z_].*\b{name}\([^;]*$",
              rf"(static |typedef )*(struct|enum|union) {name} \{{",
              rf"#\s*define {name}\b", rf"PL_BENCH\({name}\)", rf"[A-Za-z_].*\b{name}(\[.*)? = ",
              rf"enum \{{ {name}\b")
    for pattern in starts:
        for number, line in enumerate(lines):
            if re.match(pattern, line):
                return list(lines[number:end(lines, number) + 1])
    raise SlideError(f"{marker.path} defines no {marker.name}; mend the marker that names it")


def end(lines: Sequence[str], start: int) -> int:
    """The last line of what begins at ``start``: the brace in column one, or a single line."""
    if lines[start].startswith("#"):
        while lines[start].endswith("\\"):
            start += 1
        return start
    for number in range(start, len(lines)):
        if lines[number].startswith("}") or (number == start and lines[number].endswith(";")):
            return number
    return start


def between(lines: Sequence[str], marker: Marker) -> List[str]:
    """The lines from the first with ``first`` to the next with ``last``."""
    kept: List[str] = []
    for line in lines:
        if kept or marker.first in line:
            kept.append(line)
        if kept and marker.last in line:
            return kept
    raise SlideError(f"{marker.path} has no '{marker.first} ... {marker.last}'"
                     f"{' in ' + marker.name if marker.name else ''}; mend the marker")


def fitted(lines: Sequence[str], source: bool) -> List[str]:
    """Lines for a slide: without common indentation, long ones broken or set closer."""
    width = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    kept = [line[width:].expandtabs(2).rstrip() for line in lines]
    if source:
        return [part for line, macro in zip(kept, in_macro(kept)) for part in broken(line, macro)]
    if any(len(line) > COLUMNS for line in kept):
        kept = [re.sub(r"(?<=\S) {2,}", "  ", re.sub(r"^ {3,}", "    ", line)) for line in kept]
    return [part for line in kept for part in textwrap.wrap(
        line, COLUMNS, subsequent_indent="    ", break_on_hyphens=False) or [""]]


def in_macro(lines: Sequence[str]) -> List[bool]:
    """Which lines belong to a #define: when one is broken there, a backslash has to follow."""
    result: List[bool] = []
    for number, line in enumerate(lines):
        goes_on = number > 0 and result[-1] and lines[number - 1].endswith("\\")
        result.append(line.startswith("#") or goes_on)
    return result


def broken(line: str, macro: bool = False) -> List[str]:
    """A line of C in pieces that fit: broken after a comma or before an operator."""
    if len(line) > COLUMNS:
        line = re.sub(r"(?<=\S) {2,}(?=/\*)", "  ", line)
    if len(line) <= COLUMNS:
        return [line]
    at, rest = break_at(line)
    if at == 0:
        return [line]
    indent = " " * (len(line) - len(line.lstrip()) + 8)
    return [line[:at].rstrip() + (" \\" if macro else ""),
            *broken(indent + line[rest:].lstrip(), macro)]


def break_at(line: str) -> Tuple[int, int]:
    """Where to break: the last blank outside strings before the limit; (0, 0) for nowhere."""
    indent = len(line) - len(line.lstrip())
    places = [place.start() for place in re.finditer(r"(?<=[,;&|?+{]) | (?=[&|?+:]|/\*)", line)
              if indent + 8 < place.start() <= COLUMNS and line[:place.start()].count('"') % 2 == 0]
    return (places[-1], places[-1] + 1) if places else (0, 0)
