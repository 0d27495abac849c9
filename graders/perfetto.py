"""Reads traces in Perfetto's form: those of perflab, and what it knows of those of others.

    read(paths)     a Trace of one file or several, gzip or not

The format is a row of packets, so that a file that was cut off is as good as what is left of it.
Most packets of a trace differ in nothing but their time: all that follows the time is looked up in
a table of what the same bytes meant before, which makes a million events a matter of seconds.
"""
from __future__ import annotations

import struct
import zlib
from array import array
from pathlib import Path
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from .model import GraderError
from .plain import short
from .timeline import Value
from .tracks import BEGIN, COUNTED, COUNTER, END, INSTANT, PROCESS, THREAD, Shape, Trace, Track
from .wire import Malformed, fields, number_at, signed

MAX_BYTES = 2 << 30         # of a file, unpacked
MAX_KNOWN = 1 << 16         # packets that are remembered
CLEARED, NEEDS_STATE = 1, 2
REALTIME, BOOTTIME, OWN_CLOCKS = 1, 6, 64
LATEST = 1 << 62            # ns since boot: a century and more
ANOTHER_BOOT = 2 * 10 ** 9  # clocks of one boot are at most so far apart
ADVICE = "take the trace again, or name another file"
PACKET = 0x0A
TIME = 0x40                 # the key of a packet's time, which perflab writes first

Known = Tuple["_Clock", "array[int]", "array[int]", int]


class _Clock:
    """A clock of a sequence, or of the whole file."""

    def __init__(self, offset: int = 0, unit: int = 1) -> None:
        self.offset = offset        # to ns since boot
        self.unit = unit            # ns
        self.now = 0
        self.keep = 0               # 1: times are differences to the last one


class _Sequence:
    """What the packets of one writer refer to."""

    def __init__(self) -> None:
        self.cleared()
        self.clocks: Dict[int, _Clock] = {}
        self.dropped = False
        self.started = False        # its beginning is in the file

    def cleared(self) -> None:
        self.categories: Dict[int, str] = {}
        self.names: Dict[int, str] = {}
        self.keys: Dict[int, str] = {}
        self.texts: Dict[int, str] = {}
        self.clock = BOOTTIME
        self.track = 0


def read(paths: Sequence[Path]) -> Trace:
    """The trace in the files, on one clock."""
    trace = Trace()
    for path in paths:
        load(_content(path), trace, str(path))
    return trace


def load(data: bytes, trace: Trace, name: str = "trace") -> None:
    """Adds what is in ``data``; errors begin with ``name``."""
    if not data:
        raise GraderError(f"{name}: is empty: the program that wrote it may not have ended yet, or "
                          f"was killed; then 'python3 -m graders trace --recover {name}.ring' "
                          "reads what it left")
    if data[:15] == b"perflab ring 1\n":
        raise GraderError(f"{name}: is the ring file of a program that runs or was killed; "
                          f"'python3 -m graders trace --recover {name}' makes a trace of it")
    reader = _Reader(data, trace, name)
    reader.read()
    if not reader.packets:
        raise GraderError(f"{name}: is no trace in Perfetto's form; name a file that "
                          "pl_trace_start or PERFLAB=trace=FILE wrote")


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise GraderError(f"{path}: cannot be read: {error.strerror}; "
                          "name a trace file, such as trace.pftrace") from None
    return _bounded(_unpacked(data, path) if data[:2] == b"\x1f\x8b" else data, path)


def _unpacked(data: bytes, path: Path) -> bytes:
    """What is inside gzip; of a file that was cut off, what is left."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        return unpacker.decompress(data, MAX_BYTES + 1)
    except zlib.error as error:
        raise GraderError(f"{path}: is damaged: gzip says '{short(str(error), 80)}'; "
                          f"{ADVICE}") from None


def _bounded(data: bytes, path: Path) -> bytes:
    if len(data) > MAX_BYTES:
        raise GraderError(f"{path}: has more than {MAX_BYTES >> 30} GB; "
                          "take a shorter trace, or one with a smaller buffer")
    return data


class _Reader:
    """One file on its way into a Trace."""

    def __init__(self, data: bytes, trace: Trace, name: str) -> None:
        self._data = data
        self._trace = trace
        self._name = name
        self._sequences: Dict[int, _Sequence] = {}
        self._clocks: Dict[int, _Clock] = {BOOTTIME: _Clock()}
        self._tracks: Dict[int, Track] = {}
        self._known: Dict[bytes, Known] = {}
        self._shift: Optional[int] = None   # to the clock of the first file
        self._source = trace.sources
        self.packets = 0
        trace.sources += 1

    def read(self) -> None:
        """All packets, up to the end of what can be read."""
        try:
            cut = self._packets()
        except (Malformed, OverflowError) as error:
            self._trace.notes.append(f"{self._name}: is damaged: {error}: what follows is left out")
            return
        if cut and self.packets:
            self._trace.notes.append(f"{self._name}: its end is cut off: shown is what is there")

    def _packets(self) -> bool:
        """The rows of the file. True when it is cut off. Written for speed."""
        data, size, at = self._data, len(self._data), 0
        known = self._known
        while at < size:
            if data[at] != PACKET:
                at = self._foreign(at)
                continue
            length = data[at + 1] if at + 1 < size else 0x80
            start = at + 2
            if length >= 0x80:
                try:
                    length, start = number_at(data, at + 1, size)
                except Malformed:
                    return True
            stop = start + length
            if stop > size:
                return True
            if length > 2 and data[start] == TIME:
                behind = start + 2
                ticks = data[start + 1]
                if ticks >= 0x80:
                    ticks &= 0x7F
                    shift = 7
                    while behind < stop:
                        byte = data[behind]
                        behind += 1
                        ticks |= (byte & 0x7F) << shift
                        if byte < 0x80:
                            break
                        shift += 7
                found = known.get(data[behind:stop])
                if found is not None:
                    clock, times, shapes, shape = found
                    clock.now = now = clock.now * clock.keep + ticks * clock.unit
                    times.append(now + clock.offset)
                    shapes.append(shape)
                    self.packets += 1
                    at = stop
                    continue
            self._any(start, stop)
            at = stop
        return False

    def _foreign(self, at: int) -> int:
        """Skips a field of the file that is no packet."""
        if at == 0 and self._data[at] & 7 not in (0, 1, 2, 5):
            raise GraderError(f"{self._name}: is no trace in Perfetto's form; name a file that "
                              "pl_trace_start or PERFLAB=trace=FILE wrote")
        key, behind = number_at(self._data, at, len(self._data))
        if key & 7 != 2 or not key >> 3:
            raise Malformed(f"no packet begins at byte {at}")
        size, behind = number_at(self._data, behind, len(self._data))
        self._trace.skip("unknown fields")
        return behind + size

    def _any(self, start: int, stop: int) -> None:
        """A packet that has to be looked at."""
        try:
            self._packet(start, stop)
        except (Malformed, OverflowError, TypeError, AttributeError, struct.error):
            self._trace.skip("damaged packets")     # a field of another type than it has to be
        self.packets += 1

    def _packet(self, start: int, stop: int) -> None:
        packet: Dict[int, object] = {}
        for number, content in fields(self._data, start, stop):
            packet[number] = content
        sequence = self._sequence(packet)
        if 6 in packet:
            self._snapshot(_bytes(packet, 6), sequence)
        if 12 in packet:
            _intern(_bytes(packet, 12), sequence)
        if 60 in packet:
            self._describe(_bytes(packet, 60))
        if 11 in packet:
            self._event(packet, sequence, start, stop)
        elif not packet.keys() & {6, 12, 59, 60, 13}:
            self._trace.skip("packets of other kinds")

    def _sequence(self, packet: Dict[int, object]) -> _Sequence:
        """The writer's state, brought up to date."""
        number = _int(packet, 10)
        sequence = self._sequences.get(number)
        if sequence is None:
            sequence = self._sequences[number] = _Sequence()
        if _int(packet, 13) & CLEARED:
            sequence.cleared()
            sequence.started = True
            self._known.clear()
        if 42 in packet:
            sequence.dropped = True
        if 59 in packet:
            self._known.clear()
            for field, content in fields(_bytes(packet, 59), 0, len(_bytes(packet, 59))):
                if field == 58 and isinstance(content, int):
                    sequence.clock = content
                elif field == 11 and isinstance(content, bytes):
                    sequence.track = _number_in(content, 11)
        return sequence

    # clocks

    def _snapshot(self, content: bytes, sequence: _Sequence) -> None:
        """What several clocks said at one moment."""
        read = {clock: (value * unit, incremental, unit)
                for clock, value, incremental, unit in _clocks(content)}
        boot = self._boot(read)
        if boot is None:
            return
        if REALTIME in read and BOOTTIME in read:
            self._same_boot(read[REALTIME][0] - boot)
        for number, (value, incremental, unit) in read.items():
            if number < OWN_CLOCKS:
                clock = self._clocks.setdefault(number, _Clock())
                clock.offset, clock.unit = boot - value + (self._shift or 0), unit
            else:
                clock = sequence.clocks.setdefault(number, _Clock())
                clock.offset, clock.unit = boot - value + (self._shift or 0), unit
                clock.now, clock.keep = value, int(incremental)

    def _boot(self, read: Dict[int, Tuple[int, bool, int]]) -> Optional[int]:
        """The time since boot of a snapshot."""
        if BOOTTIME in read:
            return read[BOOTTIME][0]
        for number, (value, _, _) in read.items():
            if number in self._clocks:
                return value + self._clocks[number].offset - (self._shift or 0)
        return None

    def _same_boot(self, unix: int) -> None:
        """Puts files of another boot, or another machine, where the wall clock has them."""
        if self._shift is not None:
            return
        self._shift = 0
        if not self._trace.unix:
            self._trace.unix = unix
        elif abs(unix - self._trace.unix) > ANOTHER_BOOT:
            self._shift = unix - self._trace.unix
            self._trace.notes.append(f"{self._name}: is of another boot or machine: placed by the "
                                     "wall clock, which may be off")

    def _clock(self, number: int, sequence: _Sequence) -> Optional[_Clock]:
        return sequence.clocks.get(number) if number >= OWN_CLOCKS else self._clocks.get(number)

    # tracks

    def _track(self, uuid: int) -> Track:
        track = self._tracks.get(uuid)
        if track is None:
            track = self._tracks[uuid] = self._trace.track(uuid, self._source)
        return track

    def _describe(self, content: bytes) -> None:
        """What a track is."""
        track: Optional[Track] = None
        found = dict(fields(content, 0, len(content)))
        track = self._track(_int(found, 1))
        track.described = True
        track.parent = _int(found, 5)
        track.name = _text(found.get(2, found.get(10, b""))) or track.name
        if 4 in found:
            thread = dict(fields(_bytes(found, 4), 0, len(_bytes(found, 4))))
            track.kind, track.name = THREAD, _text(thread.get(5, b"")) or track.name
            track.pid, track.tid = _int32(thread, 1), _int32(thread, 2)
        elif 3 in found:
            self._process(track, _bytes(found, 3))
        elif 8 in found:
            track.kind = COUNTED

    def _process(self, track: Track, content: bytes) -> None:
        command: List[str] = []
        for field, value in fields(content, 0, len(content)):
            if field == 1 and isinstance(value, int):
                track.pid = signed(value)
            elif field == 2 and isinstance(value, bytes):
                command.append(_text(value))
            elif field == 6 and isinstance(value, bytes):
                track.name = _text(value)
        track.kind, track.command = PROCESS, tuple(command)

    # events

    def _event(self, packet: Dict[int, object], sequence: _Sequence, start: int,
               stop: int) -> None:
        number = _int(packet, 58) if 58 in packet else sequence.clock
        clock = self._clock(number, sequence)
        if clock is None or (_int(packet, 13) & NEEDS_STATE and not sequence.started):
            self._trace.skip("events whose beginning is missing")
            return
        event = _Event(_bytes(packet, 11), sequence)
        shape = Shape(event.type, self._trace.text(event.name), self._trace.text(event.category),
                      self._trace.detail(tuple(event.annotations)), tuple(event.flows))
        if shape.type not in (BEGIN, END, INSTANT, COUNTER):
            self._trace.skip("events of other types")
            return
        track = self._track(sequence.track if event.track is None else event.track)
        now = clock.now * clock.keep + _int(packet, 8) * clock.unit
        if not 0 <= now + clock.offset < LATEST:
            raise Malformed("a time that cannot be")
        clock.now = now
        track.dropped |= sequence.dropped
        track.time.append(now + clock.offset)
        track.shape.append(self._trace.shape(shape))
        if shape.type == COUNTER:
            track.value.append(event.value)
        elif event.complete and self._data[start] == TIME and packet.keys() <= {8, 10, 11, 13}:
            self._remember(clock, track, start, stop)

    def _remember(self, clock: _Clock, track: Track, start: int, stop: int) -> None:
        """The next packet with the same bytes behind its time means the same."""
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        _, behind = number_at(self._data, start + 1, stop)
        self._known[self._data[behind:stop]] = clock, track.time, track.shape, track.shape[-1]


class _Event:
    """A TrackEvent, with its numbers resolved."""

    def __init__(self, content: bytes, sequence: _Sequence) -> None:
        self.type = 0
        self.name = ""
        self.category = ""
        self.track: Optional[int] = None
        self.value = 0.0
        self.flows: List[int] = []
        self.annotations: List[Tuple[str, Value]] = []
        self.complete = True        # every number was known
        for number, value in fields(content, 0, len(content)):
            read = _FIELDS.get(number)
            if read:
                read(self, value, sequence)

    def look_up(self, table: Dict[int, str], value: object) -> str:
        found = table.get(_as_int(value))
        self.complete &= found is not None
        return found or ""

    def set_category(self, name: str) -> None:
        self.category = self.category or name

    def annotate(self, content: bytes, sequence: _Sequence) -> None:
        key, value = "", ""     # type: Tuple[str, Value]
        for number, raw in fields(content, 0, len(content)):
            if number == 1:
                key = self.look_up(sequence.keys, raw)
            elif number == 10:
                key = _text(raw)
            elif number == 17:
                value = self.look_up(sequence.texts, raw)
            elif number in _VALUES:
                value = _VALUES[number](raw)
        if key:
            self.annotations.append((key, value))


def _as_int(value: object) -> int:
    if not isinstance(value, int):
        raise Malformed("a number is expected")
    return value


def _as_bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise Malformed("text or a message is expected")
    return value


def _double(value: object) -> float:
    return float(struct.unpack("<d", _as_bytes(value))[0])


def _text(value: object) -> str:
    return _as_bytes(value).decode("utf-8", "replace")


_VALUES: Dict[int, Callable[[object], Value]] = {
    2: lambda value: _as_int(value), 3: lambda value: _as_int(value),
    4: lambda value: signed(_as_int(value)), 5: _double, 6: _text,
    7: lambda value: _as_int(value), 9: _text}


def _flows(event: _Event, value: object, sequence: _Sequence) -> None:
    """One fixed64, several behind each other, or (of old writers) a varint."""
    if isinstance(value, bytes):
        event.flows += struct.unpack(f"<{len(value) // 8}Q", value)
    else:
        event.flows.append(_as_int(value))


_FIELDS: Dict[int, Callable[[_Event, object, _Sequence], None]] = {
    9: lambda event, value, _: setattr(event, "type", _as_int(value)),
    10: lambda event, value, sequence: setattr(event, "name",
                                               event.look_up(sequence.names, value)),
    23: lambda event, value, _: setattr(event, "name", _text(value)),
    3: lambda event, value, sequence: event.set_category(
        event.look_up(sequence.categories, value)),
    22: lambda event, value, _: event.set_category(_text(value)),
    11: lambda event, value, _: setattr(event, "track", _as_int(value)),
    30: lambda event, value, _: setattr(event, "value", float(signed(_as_int(value)))),
    44: lambda event, value, _: setattr(event, "value", _double(value)),
    4: lambda event, value, sequence: event.annotate(_as_bytes(value), sequence),
    47: _flows, 36: _flows, 48: _flows, 42: _flows}


def _intern(content: bytes, sequence: _Sequence) -> None:
    """Names, categories, keys and texts that the sequence calls by numbers."""
    tables = {1: sequence.categories, 2: sequence.names, 3: sequence.keys, 29: sequence.texts}
    for number, entry in fields(content, 0, len(content)):
        table = tables.get(number)
        if table is not None:
            found = dict(fields(_as_bytes(entry), 0, len(_as_bytes(entry))))
            table[_int(found, 1)] = _text(found.get(2, b""))


def _clocks(content: bytes) -> List[Tuple[int, int, bool, int]]:
    """Of a snapshot: number, value, whether it counts differences, ns a tick."""
    read = []
    for number, entry in fields(content, 0, len(content)):
        if number == 1:
            found = dict(fields(_as_bytes(entry), 0, len(_as_bytes(entry))))
            read.append((_int(found, 1), _int(found, 2), bool(_int(found, 3)),
                         _int(found, 4) or 1))
    return read


def _number_in(content: bytes, number: int) -> int:
    return _int(dict(fields(content, 0, len(content))), number)


def _int(found: Mapping[int, object], number: int) -> int:
    value = found.get(number, 0)
    return value if isinstance(value, int) else 0


def _int32(found: Mapping[int, object], number: int) -> int:
    """A pid or tid, whatever the file claims."""
    return _int(found, number) & 0x7FFFFFFF


def _bytes(found: Mapping[int, object], number: int) -> bytes:
    return _as_bytes(found.get(number, b""))
