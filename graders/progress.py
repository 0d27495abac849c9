"""What happens while one waits: one line on a terminal, nothing anywhere else."""
from __future__ import annotations

import os
import shutil
import sys
import textwrap
import time
from fractions import Fraction
from typing import TextIO

from .plain import printable, show

FIRST_PAIRS = 3     # so many tell roughly where one is


class Progress:
    """One line on stderr that is written over, and gone at the end."""

    def __init__(self, wanted: bool = True, stream: TextIO = sys.stderr) -> None:
        self._stream = stream
        self._shown = ""
        self._last = 0.0
        self._on = wanted and stream.isatty() and os.environ.get("TERM") != "dumb"

    def say(self, words: str) -> None:
        """Shows the words, at most 20 times a second: a terminal takes time too."""
        now = time.monotonic()
        if self._on and (now - self._last > 0.05 or words.split()[0] not in self._shown):
            self._last = now
            self._put(words[:shutil.get_terminal_size().columns - 1])

    def outputs(self, count: int) -> None:
        """All outputs were right."""

    def wrong(self, error: Exception) -> None:
        """The student's code failed; the report says so too, a little later."""

    def pair(self, count: int, ratio: float, bar: Fraction) -> None:
        """So many pairs were measured, with this median so far."""
        self.say(f"time: {count} pairs, about {ratio:.2f} times as fast as slow.c "
                 f"(bar {float(bar):g})")

    def clear(self) -> None:
        if self._shown:
            self._put("")

    def _put(self, words: str) -> None:
        self._shown = words
        self._stream.write(f"\r\x1b[K{words}")
        self._stream.flush()


class FirstLook(Progress):
    """Says on standard output, as soon as it is known, what the report will say in full."""

    def outputs(self, count: int) -> None:
        self._line(f"first look   it builds; the output is right for all {count} inputs")

    def wrong(self, error: Exception) -> None:
        self._line(f"first look   {error}")

    def pair(self, count: int, ratio: float, bar: Fraction) -> None:
        if count == FIRST_PAIRS:
            self._line(f"first look   about {ratio:.2f} times as fast as slow.c, the bar is "
                       f"{float(bar):g}; the verdict follows")
        super().pair(count, ratio, bar)

    def _line(self, words: str) -> None:
        self.clear()
        lines = textwrap.wrap(printable(words), 80, initial_indent="  ",
                              subsequent_indent=" " * 15, break_on_hyphens=False)
        show("\n".join(lines) + "\n")
