"""Writes a Trace in Perfetto's form, as perflab itself does it.

    dump(trace)     the bytes of a file

Threads have a sequence of packets each, with all that belongs to them; processes have one for
their counters and tasks. Times are differences to the last one of the sequence, and whatever
occurs twice is a number the second time: an event takes some 15 bytes.
"""
from __future__ import annotations

import struct
from typing import Dict, Iterable, Iterator, List, Tuple

from .perfetto import BOOTTIME, CLEARED, NEEDS_STATE, OWN_CLOCKS, REALTIME
from .timeline import Value
from .tracks import COUNTED, COUNTER, PROCESS, THREAD, Shape, Trace, Track
from .wire import put_bytes, put_fixed64, put_number, put_text, varint

MULTIPLE = "stack"          # annotations whose text is the same for many events


def dump(trace: Trace) -> bytes:
    """The trace as a file."""
    uuids = _uuids(trace)
    out: List[bytes] = []
    for place, tracks in enumerate(_sequences(trace), 1):
        out += _Sequence(trace, uuids, place, tracks).packets()
    return b"".join(out)


def _uuids(trace: Trace) -> Dict[Tuple[int, int], int]:
    """A uuid for each track of each file: its own, unless another file has the same."""
    taken: Dict[int, int] = {}
    uuids: Dict[Tuple[int, int], int] = {}
    for track in trace.tracks:
        uuid = track.uuid
        while taken.setdefault(uuid, track.number) != track.number:
            uuid = (uuid * 6364136223846793005 + 1442695040888963407 + track.source) % 2 ** 64
        uuids[track.source, track.uuid] = uuid
    return uuids


def _sequences(trace: Trace) -> Iterator[List[Track]]:
    """Tracks that one writer writes: those of each process, then those of each thread."""
    threads = {(track.source, track.uuid): [track] for track in trace.tracks
               if track.kind == THREAD}
    others: Dict[int, List[Track]] = {}
    for track in trace.tracks:
        if track.kind != THREAD:
            owner = threads.get((track.source, track.parent))
            (others.setdefault(track.source, []) if owner is None else owner).append(track)
    yield from others.values()
    yield from threads.values()


class _Sequence:
    """One writer's packets."""

    def __init__(self, trace: Trace, uuids: Dict[Tuple[int, int], int], place: int,
                 tracks: List[Track]) -> None:
        self._trace = trace
        self._uuids = uuids
        self._tracks = sorted(tracks, key=lambda track: track.kind != PROCESS)
        self._behind = put_number(10, place)
        self._numbers: Dict[int, Dict[str, int]] = {1: {}, 2: {}, 3: {}, 29: {}}
        self._new: List[bytes] = []     # of the packet that is being made
        self._done: Dict[Tuple[int, int], bytes] = {}
        self._now = min((min(track.time) for track in tracks if track.time), default=0)

    def packets(self) -> Iterator[bytes]:
        """All of them, in the order of time."""
        yield self._first()
        for track in self._tracks:
            if track.described:
                yield put_bytes(1, put_bytes(60, self._description(track)) + self._behind
                                + put_number(13, NEEDS_STATE))
        for time, track, at in self._events():
            difference, self._now = time - self._now, time
            packet = b"\x40" + varint(difference) + self._tail(track, at)
            yield b"\n" + varint(len(packet)) + packet

    def _events(self) -> Iterable[Tuple[int, Track, int]]:
        """Time, track and place of each event."""
        rows = [(time, order, at) for order, track in enumerate(self._tracks)
                for at, time in enumerate(track.time)]
        rows.sort(key=lambda row: row[0])
        return ((time, self._tracks[order], at) for time, order, at in rows)

    def _first(self) -> bytes:
        """Clears what was, and says which clock and track are meant where none is given."""
        clocks = _clock(BOOTTIME, self._now) + _clock(OWN_CLOCKS, self._now, put_number(3, 1))
        if self._trace.unix:
            clocks += _clock(REALTIME, self._now + self._trace.unix)
        default = put_number(11, self._uuid(self._tracks[0]))
        content = (put_bytes(6, clocks) + self._behind + put_number(13, CLEARED)
                   + put_bytes(59, put_number(58, OWN_CLOCKS) + put_bytes(11, default)))
        if any(track.dropped for track in self._tracks):
            content += put_number(42, 1)
        return put_bytes(1, content)

    def _uuid(self, track: Track) -> int:
        return self._uuids[track.source, track.uuid]

    def _description(self, track: Track) -> bytes:
        parent = self._uuids.get((track.source, track.parent), 0)
        out = put_number(1, self._uuid(track)) + (put_number(5, parent) if parent else b"")
        if track.kind == THREAD:
            return out + put_bytes(4, put_number(1, track.pid) + put_number(2, track.tid)
                                   + put_text(5, track.name))
        if track.kind == PROCESS:
            return out + put_bytes(3, put_number(1, track.pid) + put_text(6, track.name)
                                   + b"".join(put_text(2, word) for word in track.command))
        return out + put_text(2, track.name) + (put_bytes(8, b"") if track.kind == COUNTED else b"")

    def _tail(self, track: Track, at: int) -> bytes:
        """What follows the time: the same bytes for every event of this shape, but counters."""
        place = track.number, track.shape[at]
        tail = self._done.get(place)
        if tail is not None:
            return tail
        shape = self._trace.shapes[track.shape[at]]
        event = self._event(track, shape)
        if shape.type == COUNTER:
            event += put_fixed64(44, struct.pack("<d", track.value[at]))
        tail = self._behind + put_number(13, NEEDS_STATE) + put_bytes(11, event)
        if shape.type != COUNTER:
            self._done[place] = tail
        if self._new:
            tail = put_bytes(12, b"".join(self._new)) + tail
            self._new = []
        return tail

    def _event(self, track: Track, shape: Shape) -> bytes:
        text = self._trace.strings
        out = [put_number(9, shape.type)]
        if shape.name:
            out.append(put_number(10, self._number(2, text[shape.name])))
        if shape.category:
            out.append(put_number(3, self._number(1, text[shape.category])))
        if track is not self._tracks[0]:
            out.append(put_number(11, self._uuid(track)))
        out += [put_bytes(4, self._annotation(key, value))
                for key, value in self._trace.details[shape.detail].items()]
        return b"".join(out + [put_fixed64(47, struct.pack("<Q", flow)) for flow in shape.flows])

    def _annotation(self, key: str, value: Value) -> bytes:
        out = put_number(1, self._number(3, key))
        if isinstance(value, float):
            return out + put_fixed64(5, struct.pack("<d", value))
        if isinstance(value, int):
            return out + put_number(3 if value >= 0 else 4, value)
        if key == MULTIPLE:
            return out + put_number(17, self._number(29, value))
        return out + put_text(6, value)

    def _number(self, table: int, text: str) -> int:
        """The number that stands for a text in this sequence."""
        known = self._numbers[table]
        if text not in known:
            known[text] = len(known) + 1
            self._new.append(put_bytes(table, put_number(1, known[text]) + put_text(2, text)))
        return known[text]


def _clock(clock: int, value: int, more: bytes = b"") -> bytes:
    return put_bytes(1, put_number(1, clock) + put_number(2, value) + more)
