"""The events of a trace as they stand in its file: tracks, each with a row of events.

perfetto.py reads files into this form and writes files of it; ring.py makes it of what a killed
program left; assemble.py makes a Timeline of it, where begins have found their ends.

An event is a time and the number of a shape. A shape is all the rest: most events of a trace are
of a few hundred shapes, so that a million events take 12 MB.
"""
from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import Dict, List, NamedTuple, Tuple

from .timeline import Detail, Value

BEGIN, END, INSTANT, COUNTER = 1, 2, 3, 4
THREAD, PROCESS, COUNTED, PLAIN = 0, 1, 2, 3     # kinds of tracks


class Shape(NamedTuple):
    """An event without its time. Text is a number into Trace.strings."""
    type: int
    name: int
    category: int
    detail: int                 # in Trace.details, 0: none
    flows: Tuple[int, ...] = ()


@dataclass
class Track:
    """A row of events. ``number`` is unique in a Trace; a uuid only in its file."""
    number: int
    uuid: int
    parent: int = 0             # a uuid
    kind: int = PLAIN
    name: str = ""
    pid: int = 0
    tid: int = 0
    command: Tuple[str, ...] = ()
    source: int = 0             # which of the files it is from
    described: bool = False     # the file says what it is
    dropped: bool = False       # what came first was overwritten
    time: "array[int]" = field(default_factory=lambda: array("q"))      # ns since boot
    shape: "array[int]" = field(default_factory=lambda: array("I"))     # in Trace.shapes
    value: "array[float]" = field(default_factory=lambda: array("d"))   # of counters


class Trace:
    """The tracks of one or several files, on one clock."""

    def __init__(self) -> None:
        self.strings: List[str] = [""]
        self.details: List[Detail] = [{}]
        self.shapes: List[Shape] = []
        self.tracks: List[Track] = []
        self.unix: int = 0              # ns from boot's clock to that of 1970; 0: not known
        self.notes: List[str] = []
        self.skipped: Dict[str, int] = {}       # what was not understood, by its name
        self.sources = 0
        self._strings: Dict[str, int] = {"": 0}
        self._details: Dict[Tuple[Tuple[str, Value], ...], int] = {(): 0}
        self._shapes: Dict[Shape, int] = {}

    def text(self, text: str) -> int:
        """The number of a string."""
        number = self._strings.get(text)
        if number is None:
            number = self._strings[text] = len(self.strings)
            self.strings.append(text)
        return number

    def detail(self, items: Tuple[Tuple[str, Value], ...]) -> int:
        """The number of a set of annotations."""
        number = self._details.get(items)
        if number is None:
            number = self._details[items] = len(self.details)
            self.details.append(dict(items))
        return number

    def shape(self, shape: Shape) -> int:
        """The number of a shape."""
        number = self._shapes.get(shape)
        if number is None:
            number = self._shapes[shape] = len(self.shapes)
            self.shapes.append(shape)
        return number

    def track(self, uuid: int, source: int) -> Track:
        """A new track."""
        track = Track(len(self.tracks), uuid, source=source)
        self.tracks.append(track)
        return track

    def skip(self, what: str, count: int = 1) -> None:
        """Counts what was left out."""
        self.skipped[what] = self.skipped.get(what, 0) + count

    @property
    def events(self) -> int:
        return sum(len(track.time) for track in self.tracks)
