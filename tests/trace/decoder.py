"""Reads the traces that perflab writes, from Perfetto's public field numbers alone.

It shares no code with graders: what both understand in the same way is what the format says. It is
strict where a reader would guess: a sequence has to say what its numbers mean before it uses them,
a track has to be described before it has events, and nothing unknown may stand in a packet.
"""
from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Tuple, Union

Value = Union[int, bytes]
BEGIN, END, INSTANT, COUNTER = 1, 2, 3, 4
BOOTTIME, OWN_CLOCK = 6, 64
CATEGORIES, NAMES, KEYS, TEXTS = 1, 2, 3, 29    # of InternedData


class Malformed(Exception):
    """A packet breaks a rule of the format."""


def need(condition: object, what: str) -> None:
    """An assertion with words."""
    if not condition:
        raise Malformed(what)


def varint(data: bytes, at: int) -> Tuple[int, int]:
    """The number at a place, and the place behind it."""
    value = shift = 0
    while True:
        need(at < len(data) and shift < 70, "varint ends early")
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def fields(data: bytes) -> Iterator[Tuple[int, Value]]:
    """All fields of a message, in their order. Fixed ones come as bytes."""
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        kind = tag & 7
        if kind == 0:
            value, at = varint(data, at)
            yield tag >> 3, value
            continue
        need(kind in (1, 2, 5), f"wire type {kind}")
        size = 8 if kind == 1 else 4
        if kind == 2:
            size, at = varint(data, at)
        need(at + size <= len(data), "a field ends behind its message")
        yield tag >> 3, data[at:at + size]
        at += size


def one(data: bytes, known: Tuple[int, ...]) -> Dict[int, Value]:
    """A message whose fields are known, and stand once."""
    found: Dict[int, Value] = {}
    for number, value in fields(data):
        need(number in known, f"field {number} is not one of {known}")
        need(number not in found, f"field {number} stands twice")
        found[number] = value
    return found


def text(value: Value) -> str:
    """UTF-8, as Protobuf wants it."""
    assert isinstance(value, bytes)
    return value.decode("utf-8")


def number(value: Value) -> int:
    """A varint."""
    assert isinstance(value, int)
    return value


def body(value: Value) -> bytes:
    """A message's bytes."""
    assert isinstance(value, bytes)
    return value


@dataclass
class Track:
    """A descriptor."""
    uuid: int
    parent: int = 0
    name: str = ""
    pid: int = 0
    tid: int = 0
    counter: bool = False
    command: List[str] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """What it is a track of."""
        return "thread" if self.tid else "process" if self.pid else \
            "counter" if self.counter else "other"


@dataclass
class Event:
    """A track event, its numbers replaced by what they mean."""
    ns: int
    sequence: int
    type: int
    track: int
    category: str = ""
    name: str = ""
    value: Optional[float] = None
    flows: Tuple[int, ...] = ()
    notes: Dict[str, Union[int, str]] = field(default_factory=dict)
    size: int = 0       # of the packet, in the file


@dataclass
class Slice:
    """From a BEGIN to its END on a track; what both say of it."""
    begin: int
    end: int
    track: int
    category: str
    name: str
    depth: int
    notes: Dict[str, Union[int, str]]
    flows: Tuple[int, ...] = ()

    @property
    def ns(self) -> int:
        """How long."""
        return self.end - self.begin


@dataclass
class Sequence:
    """What a writer has said so far."""
    clock: Optional[int] = None     # where the own clock stands
    default_clock: int = BOOTTIME
    track: int = 0
    cleared: bool = False
    dropped: bool = False
    interned: Dict[int, Dict[int, str]] = field(default_factory=dict)

    def meaning(self, kind: int, value: Value) -> str:
        """What a number stands for: said before, or it is an error."""
        need(value in self.interned.get(kind, {}), f"nobody has said what {value} is in {kind}")
        return self.interned[kind][number(value)]


class Trace:
    """A whole file."""

    def __init__(self, data: bytes) -> None:
        self.size = len(data)
        self.tracks: Dict[int, Track] = {}
        self.events: List[Event] = []
        self.sequences: Dict[int, Sequence] = {}
        self.clocks: Dict[int, int] = {}    # of the snapshot that has the clocks of the system
        for number_, value in fields(data):
            need(number_ == 1, "a trace is packets")
            self.packet(body(value))

    def packet(self, data: bytes) -> None:
        """One packet; what it says once is read before its event."""
        packet = one(data, (6, 8, 10, 11, 12, 13, 42, 58, 59, 60))
        need(packet.get(10), "a packet without a sequence is dropped by readers")
        sequence = self.sequences.setdefault(number(packet[10]), Sequence())
        flags = packet.get(13, 0)
        if flags == 1:
            need(not sequence.cleared, "a sequence begins once")
            sequence.cleared = True
            sequence.dropped = bool(packet.get(42, 0))
        else:
            need(flags == 2 and sequence.cleared, "a sequence begins before it is used")
        if 6 in packet:
            self.snapshot(sequence, body(packet[6]))
        if 59 in packet:
            self.defaults(sequence, body(packet[59]))
        if 12 in packet:
            self.intern(sequence, body(packet[12]))
        need(sum(kind in packet for kind in (6, 11, 60)) == 1, "a packet is about one thing")
        if 60 in packet:
            self.descriptor(body(packet[60]))
        if 11 in packet:
            self.event(packet, sequence, len(data) + 2 + (len(data) > 127))

    def snapshot(self, sequence: Sequence, data: bytes) -> None:
        """Clocks at the same moment."""
        clocks = {}
        for field_, value in fields(data):
            need(field_ == 1, "a snapshot is clocks")
            clock = one(body(value), (1, 2, 3))
            clocks[number(clock[1])] = number(clock.get(2, 0))
            need(bool(clock.get(3, 0)) == (clock[1] == OWN_CLOCK), "one clock is incremental")
        need(clocks[OWN_CLOCK] == clocks[BOOTTIME], "the own clock begins as BOOTTIME")
        sequence.clock = clocks[OWN_CLOCK]
        if len(clocks) > 2:
            self.clocks = clocks

    @staticmethod
    def defaults(sequence: Sequence, data: bytes) -> None:
        """What packets need not say."""
        said = one(data, (58, 11))
        sequence.default_clock = number(said[58])
        sequence.track = number(one(body(said[11]), (11,))[11])

    @staticmethod
    def intern(sequence: Sequence, data: bytes) -> None:
        """Texts by number; none is said twice."""
        for kind, value in fields(data):
            need(kind in (CATEGORIES, NAMES, KEYS, TEXTS), f"interned data {kind}")
            entry = one(body(value), (1, 2))
            known = sequence.interned.setdefault(kind, {})
            need(entry.get(1) and entry[1] not in known, f"number {entry.get(1)} is said twice")
            known[number(entry[1])] = text(entry.get(2, b""))

    def descriptor(self, data: bytes) -> None:
        """A track; its parent may come later."""
        said = one(data, (1, 2, 3, 4, 5, 8))
        track = Track(number(said[1]), number(said.get(5, 0)), text(said.get(2, b"")))
        need(track.uuid not in self.tracks, "a track is described once")
        if 3 in said:
            for kind, value in fields(body(said[3])):
                if kind == 2:
                    track.command.append(text(value))
                elif kind == 1:
                    track.pid = number(value)
                else:
                    need(kind == 6, f"process {kind}")
                    track.name = text(value)
        if 4 in said:
            thread = one(body(said[4]), (1, 2, 5))
            track.pid, track.tid = number(thread[1]), number(thread[2])
            track.name = text(thread.get(5, b""))
        track.counter = 8 in said
        self.tracks[track.uuid] = track

    def time(self, packet: Dict[int, Value], sequence: Sequence) -> int:
        """In nanoseconds of BOOTTIME."""
        need(8 in packet and sequence.clock is not None, "an event has a time")
        clock = packet.get(58, sequence.default_clock)
        if clock == OWN_CLOCK:
            assert sequence.clock is not None
            sequence.clock += number(packet[8])
            return sequence.clock
        need(clock == BOOTTIME, f"clock {clock}")
        return number(packet[8])

    def event(self, packet: Dict[int, Value], sequence: Sequence, size: int) -> None:
        """A track event."""
        event = Event(self.time(packet, sequence), number(packet[10]), 0, sequence.track, size=size)
        flows = []
        for kind, value in fields(body(packet[11])):
            if kind == 9:
                event.type = number(value)
            elif kind == 11:
                event.track = number(value)
            elif kind == 3:
                event.category = sequence.meaning(CATEGORIES, value)
            elif kind in (10, 23):
                need(not event.name, "a name stands once")
                event.name = sequence.meaning(NAMES, value) if kind == 10 else text(value)
            elif kind == 44:
                event.value = struct.unpack("<d", body(value))[0]
            elif kind == 47:
                flows.append(struct.unpack("<Q", body(value))[0])
            else:
                need(kind == 4, f"track event {kind}")
                self.note(event, sequence, body(value))
        need(event.type in (BEGIN, END, INSTANT, COUNTER), f"type {event.type}")
        need(event.track in self.tracks, "a track is described before its events")
        event.flows = tuple(flows)
        self.events.append(event)

    @staticmethod
    def note(event: Event, sequence: Sequence, data: bytes) -> None:
        """A debug annotation."""
        said = one(data, (1, 3, 6, 10, 17))
        key = sequence.meaning(KEYS, said[1]) if 1 in said else text(said[10])
        need(key not in event.notes, f"{key} stands twice")
        value: Union[int, str]
        if 17 in said:
            value = sequence.meaning(TEXTS, said[17])
        else:
            value = number(said[3]) if 3 in said else text(said[6])
        event.notes[key] = value

    # -- What the events mean --

    def of(self, category: str) -> List[Event]:
        """Those of a category, by time."""
        return sorted((e for e in self.events if e.category == category), key=lambda e: e.ns)

    def named(self, name: str) -> Track:
        """The one track of that name."""
        found = [t for t in self.tracks.values() if t.name == name]
        need(len(found) == 1, f"{len(found)} tracks are called {name!r}")
        return found[0]

    def threads(self) -> List[Track]:
        """The tracks of threads, in the order of the file."""
        return [t for t in self.tracks.values() if t.kind == "thread"]

    def facts(self) -> Dict[str, Union[int, str]]:
        """What the trace says of itself, in its last event."""
        last = [e for e in self.events if e.category == "perflab"]
        need(len(last) == 1 and last[0] is self.events[-1], "one event tells how it was taken")
        return last[0].notes

    def slices(self, category: str = "") -> List[Slice]:
        """All slices: on each track, by time, every END ends what was begun last."""
        done: List[Slice] = []
        open_: Dict[int, List[Event]] = {}
        for event in sorted(self.events, key=lambda e: e.ns):
            stack = open_.setdefault(event.track, [])
            if event.type == BEGIN:
                stack.append(event)
            elif event.type == END:
                need(stack, "an END without a BEGIN")
                begin = stack.pop()
                need(not set(begin.notes) & set(event.notes), "both ends say the same thing")
                done.append(Slice(begin.ns, event.ns, event.track, begin.category, begin.name,
                                  len(stack), {**begin.notes, **event.notes}, begin.flows))
        need(not any(open_.values()), "a BEGIN without an END")
        return [s for s in sorted(done, key=lambda s: (s.begin, s.depth))
                if not category or s.category == category]


def read(path: Union[str, Path]) -> Trace:
    """A file that has to be right in every byte."""
    return Trace(Path(path).read_bytes())
