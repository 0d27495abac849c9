"""Reads README.md as a newcomer does: its code blocks, in order, with what is expected of them.

A comment on the line before a block tells what the block is; the page as shown does not have it:

    <!-- expect: FAIL -->           a shell block that ends non-zero and prints this word
    <!-- file: example.c -->        a block that the reader saves under this name
    <!-- screen: make lab03 -->     what a command printed when the page was written

`python3 tests/fresh/readme.py` runs those commands again and writes the page anew.
"""
from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import List, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "README.md"
BLOCK = re.compile(r"(?:^<!-- (?P<kind>\w+): (?P<value>[^\n]*?) -->\n)?"
                   r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)


class Block(NamedTuple):
    """One fenced block."""
    language: str
    text: str
    kind: str       # "" or expect, file, screen
    value: str
    line: int       # of its fence, from 1


def blocks(text: str) -> List[Block]:
    """Every fenced block of a page."""
    return [Block(match.group("language"), match.group("text"), match.group("kind") or "",
                  match.group("value") or "", text.count("\n", 0, match.start("language")) + 1)
            for match in BLOCK.finditer(text)]


def readme() -> List[Block]:
    """The blocks of README.md."""
    return blocks(PAGE.read_text(encoding="utf-8"))


def screen(command: str) -> str:
    """What a command prints, as it stands on the page."""
    done = subprocess.run(command.split(), cwd=ROOT, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, universal_newlines=True)
    return done.stdout.strip("\n") + "\n"


def main() -> None:
    """Writes README.md with the screens of today."""
    text = PAGE.read_text(encoding="utf-8")
    for block in blocks(text):
        if block.kind == "screen":
            head = f"<!-- screen: {block.value} -->\n```{block.language}\n"
            text = text.replace(head + block.text, head + screen(block.value))
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
