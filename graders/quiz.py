"""A lab's quiz in the terminal: a question, time to think, the explained answer. Not graded."""
from __future__ import annotations

import argparse
import re
import sys
import textwrap
from typing import Iterator

from . import files, lab as labs, readme
from .model import GraderError
from .plain import in_colour, printable, show

WIDTH, MARGIN = 76, "  "


def quiz(options: argparse.Namespace) -> int:
    """Asks every question. Without a keyboard or a screen it shows all at once."""
    lab = labs.load(options.root, options.lab)
    where = f"labs/{lab.path.name}/README.md"
    items = readme.quiz(files.read(lab.path / "README.md"))
    if not items:
        raise GraderError(f"{where}: its section 'Quiz' has no question of the form "
                          f"{readme.QUIZ_FORM}")
    asking = sys.stdin.isatty() and sys.stdout.isatty()
    show(f"\n{MARGIN}Lab {lab.id}, {lab.title}: {len(items)} questions, not graded.\n")
    for number, item in enumerate(items, 1):
        show("\n" + _bold(_laid_out(f"{number}. {item.ask}")) + "\n")
        if asking and not _enter("Think, then press Enter for the answer ... "):
            return 0
        show("\n" + _laid_out(item.answer) + "\n")
        if asking and number < len(items) and not _enter("Enter for the next question ... "):
            return 0
    show(f"\n{MARGIN}That was the quiz. More of it: 'Go further' in {where}\n\n")
    return 0


def _enter(prompt: str) -> bool:
    """Waits for Enter; Ctrl-C and Ctrl-D end the quiz, and that is fine."""
    try:
        input(f"\n{MARGIN}{prompt}")
        return True
    except (EOFError, KeyboardInterrupt):
        print()
        return False


def _laid_out(text: str) -> str:
    """Paragraphs wrapped, code and lists as they are."""
    return "\n\n".join(_block(block) for block in _blocks(text))


def _blocks(text: str) -> Iterator[str]:
    """Paragraphs and fenced code."""
    for part in re.split(r"(^```.*?^```$)", text, flags=re.S | re.M):
        blocks = [part] if part.startswith("```") else re.split(r"\n[ ]*\n", part)
        yield from (block.strip("\n") for block in blocks if block.strip())


def _block(block: str) -> str:
    lines = printable(block).split("\n")
    if lines[0].startswith("```"):
        return "\n".join(f"{MARGIN}    {line}" for line in lines[1:-1])
    if re.match(r"\s*[-*|] ", lines[0]) and len(lines) > 1:
        return "\n".join(MARGIN + line for line in lines)
    plain = re.sub(r"(?<!\*)\*(\w[^*]*)\*(?!\*)", r"\1", " ".join(lines))
    return textwrap.fill(plain, WIDTH, initial_indent=MARGIN, subsequent_indent=MARGIN,
                         break_on_hyphens=False, break_long_words=False)


def _bold(text: str) -> str:
    return f"\x1b[1m{text}\x1b[0m" if in_colour() else text
