"""Small things about files that several commands need."""
from __future__ import annotations

import os
import re
from pathlib import Path

from .model import GraderError

LEADING_COMMENT = re.compile(r"\s*/\*.*?\*/[ \t]*\n", re.S)


def keep(path: Path, text: str) -> None:
    """Writes a file whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8", errors="surrogateescape")
        os.replace(partial, path)
    except OSError as error:
        if path.parent.is_dir():
            partial.unlink(missing_ok=True)
        raise GraderError(f"{path}: cannot be written: {error.strerror}; "
                          "make it writable, and see that the disk is not full") from None


def read(path: Path) -> str:
    """A file's text, whatever its bytes are."""
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise GraderError(f"{path}: cannot be read: {error.strerror}; "
                          "restore the file") from None


def heading(text: str) -> str:
    """The comment at the very top of a C file, which tells what the file is."""
    match = LEADING_COMMENT.match(text)
    return match[0] if match else ""


def code(text: str) -> str:
    """A C file without the comment at its top."""
    return text[len(heading(text)):]


def relative(path: Path) -> str:
    """The path as one types it here, when it is below here."""
    found = os.path.relpath(path)
    return str(path) if found.startswith("..") else found
