"""What happens while one waits: one line on a terminal, nothing anywhere else."""
from __future__ import annotations

import os
import shutil
import sys
import time
from typing import TextIO


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

    def clear(self) -> None:
        if self._shown:
            self._put("")

    def _put(self, words: str) -> None:
        self._shown = words
        self._stream.write(f"\r\x1b[K{words}")
        self._stream.flush()
