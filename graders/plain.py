"""Text from outside (student code, compilers, files), made fit for a message or a terminal."""
from __future__ import annotations

import os
import sys


def printable(text: str) -> str:
    r"""Control characters and lone surrogates as \x1b or \ud800; lines and other text stay."""
    return "".join(char if char.isprintable() or char == "\n" else _escaped(char)
                   for char in text.replace("\r\n", "\n").expandtabs(4))


def short(text: str, limit: int = 40) -> str:
    """The text on one printable line of at most ``limit`` characters."""
    line = printable(" ".join(text[:4 * limit].split()))
    return line if len(line) <= limit else line[:limit - 3] + "..."


def show(text: str) -> None:
    """Prints the text; characters that the output does not know are escaped."""
    encoding = sys.stdout.encoding or "ascii"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
    sys.stdout.flush()


def in_colour() -> bool:
    """Whether standard output is a terminal that may be coloured."""
    return (sys.stdout.isatty() and not os.environ.get("NO_COLOR")
            and os.environ.get("TERM") != "dumb")


def _escaped(char: str) -> str:
    code = ord(char)
    if code < 256:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
