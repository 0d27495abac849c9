"""A deck: Markdown for Marp, its slides, speaker notes and code markers.

Slides are separated by lines of three dashes. HTML comments are speaker notes, except markers:
those before a code block (excerpt.py) and Marp's own directives (`_class: lead`).
"""
from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, List, Sequence, Tuple

from .excerpt import ROOT, Marker, SlideError, cut, parse_marker

FOLDER = ROOT / "slides"
CODE = re.compile(r"<!-- code: (.*?) -->\s*$")
DIRECTIVE = re.compile(r"<!-- _?(class|paginate|footer|header|backgroundColor|color): .*?-->")
COMMENT = re.compile(r"<!--(.*?)-->", re.DOTALL)
PICTURE = re.compile(r"^!\[([^\]]*)\]\((pictures/[\w.-]+\.svg)\)$", re.MULTILINE)
LEAST, MOST = 10, 20        # slides in a deck


@dataclass(frozen=True)
class Block:
    """A fenced code block: its lines without the fences, and the marker before it."""
    line: int
    marker: str
    lines: Tuple[str, ...]


@dataclass(frozen=True)
class Slide:
    """One slide: its text without the notes, and the notes."""
    number: int
    text: str
    notes: str


@dataclass(frozen=True)
class Deck:
    """One Markdown file."""
    path: Path
    text: str

    @property
    def name(self) -> str:
        """The file's name: 03_string_building."""
        return self.path.stem


def deck_paths() -> List[Path]:
    """Every deck, the opening first."""
    return sorted(FOLDER.glob("*.md"), key=lambda path: (path.stem != "opening", path.stem))


def load(path: Path) -> Deck:
    """Reads a deck."""
    return Deck(path, path.read_text(encoding="utf-8"))


def chosen(names: Sequence[str]) -> List[Deck]:
    """The decks whose names begin so: all without names."""
    decks = [load(path) for path in deck_paths()]
    for name in names:
        if not any(deck.name.startswith(name) for deck in decks):
            raise SlideError(f"no deck is called {name}; there are "
                             + ", ".join(deck.name for deck in decks))
    return [deck for deck in decks
            if not names or any(deck.name.startswith(name) for name in names)]


def body(text: str) -> str:
    """A deck without its front matter."""
    match = re.match(r"---\n.*?\n---\n", text, re.DOTALL)
    return text[match.end():] if match else text


def slides(deck: Deck) -> List[Slide]:
    """The slides in order. A line of three dashes inside a code block separates nothing."""
    parts: List[List[str]] = [[]]
    inside = False
    for line in body(deck.text).splitlines():
        inside ^= line.startswith("```")
        if line == "---" and not inside:
            parts.append([])
        else:
            parts[-1].append(line)
    return [slide(number, "\n".join(part)) for number, part in enumerate(parts, 1)]


def slide(number: int, text: str) -> Slide:
    """Separates what is shown from what is said."""
    shown = DIRECTIVE.sub("", re.sub(r"<!-- code: .*?-->", "", text))
    notes = "\n".join(note.strip() for note in COMMENT.findall(shown))
    return Slide(number, COMMENT.sub("", shown).strip(), notes)


# code blocks --------------------------------------------------------------------------------------


def blocks(text: str) -> Iterator[Block]:
    """The code blocks of a deck."""
    marker, start = "", -1
    kept: List[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            if start >= 0:
                yield Block(start, marker, tuple(kept))
                start, marker, kept = -1, "", []
            else:
                start = number
        elif start >= 0:
            kept.append(line)
        else:
            found = CODE.match(line)
            marker = found.group(1) if found else "" if line.strip() else marker


def filled(text: str) -> str:
    """The deck with every marked code block as its file has it now."""
    result: List[str] = []
    marker, inside = "", False
    for line in text.splitlines():
        fence = line.startswith("```")
        if not (inside and marker) or fence:
            result.append(line)
        if fence and not inside and marker:
            result += cut(parse_marker(marker))
        inside ^= fence
        found = CODE.match(line)
        if found:
            marker = found.group(1)
        elif not inside and line.strip():
            marker = ""
    return "\n".join(result) + "\n"


def faults(deck: Deck) -> Iterator[str]:
    """What is wrong with a deck, a line each."""
    where = f"slides/{deck.path.name}"
    try:
        if filled(deck.text) != deck.text:
            yield f"{where}: code differs from its file; run python3 -m slides fill"
    except SlideError as error:
        yield f"{where}: {error}"
    for block in blocks(deck.text):
        if not block.marker:
            yield f"{where}:{block.line}: a code block without <!-- code: PATH:NAME --> before it"
    found = slides(deck)
    if not LEAST <= len(found) <= MOST:
        yield f"{where}: {len(found)} slides; a deck has {LEAST} to {MOST}"
    for item in found:
        if len(item.notes) < 40:
            yield f"{where}: slide {item.number} has no speaker notes; add them as a comment"
    if not any(re.search(r"^#+ .*[Ii]nterview", item.text, re.MULTILINE) for item in found[-3:]):
        yield f"{where}: no interview questions at the end"
    if not PICTURE.search(deck.text):
        yield f"{where}: no picture; draw one from a measurement"
    for _, picture in PICTURE.findall(deck.text):
        if not (FOLDER / picture).is_file():
            yield f"{where}: {picture} is not there; run python3 -m slides draw"


def marked_lines(block: Block) -> List[int]:
    """The lines of a block that its marker wants on a coloured ground, counted from 0."""
    wanted: Marker = parse_marker(block.marker)
    return [number for number, line in enumerate(block.lines)
            if wanted.mark and wanted.mark in line]
