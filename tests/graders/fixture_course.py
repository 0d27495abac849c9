"""A course of one's own: the repository's lab 03, whose files a test may break."""
from __future__ import annotations

import contextlib
import io
import shutil
from pathlib import Path
from typing import List, Tuple

from fixture_lab import REPOSITORY

from graders import anatomy, lab as labs
from graders.__main__ import main
from graders.model import Lab

NAME = "03_string_building"
PLACES = {"lab": f"labs/{NAME}", "solution": f"solutions/{NAME}", "probes": f"tests/probes/{NAME}"}


def course(root: Path) -> Path:
    """The three folders of lab 03 and README.md below ``root``."""
    for place in PLACES.values():
        shutil.copytree(REPOSITORY / place, root / place)
    shutil.copy(REPOSITORY / "README.md", root)
    return root


def lab_of(root: Path) -> Lab:
    return labs.load(root, "03")


def edit(path: Path, old: str, new: str) -> None:
    """Replaces what is there once or more; a test that edits nothing tests nothing."""
    text = path.read_text()
    assert old in text, f"{path} has no '{old}'"
    path.write_text(text.replace(old, new))


def complaints(root: Path) -> List[str]:
    """What the checks of the anatomy say, as `check` shows it."""
    lab = lab_of(root)
    return [line for check in anatomy.CHECKS for line in check(lab)]


def run(*arguments: str) -> Tuple[int, str]:
    """A command in this process: its exit code, and all that it printed."""
    screen = io.StringIO()
    with contextlib.redirect_stdout(screen), contextlib.redirect_stderr(screen):
        code = main(list(arguments))
    return code, screen.getvalue()
