"""Reads the ring file of a program that was killed, or still runs: threads and their records.

recover.py makes a Trace of them.

The file is memory of a program that may have ended anywhere, so nothing in it is believed: every
offset is checked, and what is damaged is left out and counted. Its layout is in perflab.h, section
>>record (the head) and >>event (chunks and records).
"""
from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

from .model import GraderError
from .plain import short

MAGIC = b"perflab ring 1\n\0"
HEAD = (("base", "Q"), ("bytes", "Q"), ("names_at", "Q"), ("names_slots", "Q"), ("texts_at", "Q"),
        ("texts_bytes", "Q"), ("texts_used", "Q"), ("modules_at", "Q"), ("modules_bytes", "Q"),
        ("modules_used", "Q"), ("sites_at", "Q"), ("sites_bytes", "Q"), ("chunks_at", "Q"),
        ("chunk_bytes", "I"), ("chunks", "I"), ("start_ticks", "Q"), ("start_mono", "Q"),
        ("start_boot", "Q"), ("start_unix", "Q"), ("ticks_a", "Q"), ("ticks_b", "Q"),
        ("mono_a", "Q"), ("mono_b", "Q"), ("now", "I"), ("processors", "I"), ("pid", "i"),
        ("page_bytes", "I"), ("lost", "Q"))
CHUNK = struct.Struct("<QIIIIQQIIQ8x")
RECORD = struct.Struct("<QIHBB")
SLOT = struct.Struct("<QII")
SITE = struct.Struct("<QQQIi32x")
HEAD_BYTES, CHUNK_HEAD, OPEN = 1024, 64, 1
LATEST = 1 << 61            # ns since boot
DEEPEST = 4096              # frames of a stack
GUESSED = 1 << 30           # ticks from the start to the anchor that is there from the start
RATES = (10 ** 5, 10 ** 11)     # ticks a second that a clock may have

(THREAD, THREAD_END, BEGIN, END, INSTANT, COUNTER, LOG, TASK_BEGIN, TASK_END, TASK_ENTER,
 TASK_LEAVE, FLOW_OUT, FLOW_IN, WAIT_BEGIN, WAIT_END, SAMPLE, SCHED, NAME, LOST,
 TEXT) = range(1, 21)
MORE, CONTINUED = 1, 2
WORDS = {COUNTER: 8, TASK_BEGIN: 16, TASK_END: 8, TASK_ENTER: 8, TASK_LEAVE: 8, FLOW_OUT: 8,
         FLOW_IN: 8, WAIT_BEGIN: 16, WAIT_END: 8, SAMPLE: 16, SCHED: 24, NAME: 20, LOST: 8,
         THREAD: 32}        # bytes in front of the text


class Record(NamedTuple):
    ticks: int
    name: int
    kind: int
    flags: int
    words: bytes            # what has a form
    text: bytes             # what is behind it


class Site(NamedTuple):
    """A stack: addresses that lie inside their calls, the innermost first."""
    epoch: int
    pcs: Tuple[int, ...]


class Module(NamedTuple):
    epoch: int
    start: int
    end: int
    offset: int             # in the file, of the start
    build_id: str
    path: str


class Waiting(NamedTuple):
    """A call in which a thread still was."""
    ticks: int
    object: int
    cause: int
    pc: int = 0         # an address in the call


@dataclass
class Strand:
    """What one thread wrote, in order."""
    instance: int
    tid: int
    name: str
    start: int              # address of its function
    records: List[Record]
    continued: bool = False     # its first records are gone
    waiting: Tuple[Waiting, ...] = ()


class _Piece(NamedTuple):
    """A stretch of a chunk that is one thread's."""
    ticks: int
    serial: int
    at: int
    instance: int
    tid: int
    start: int
    name: str
    continued: bool
    before: int             # the serial of the thread's chunk before, its lower half; 0: none
    records: List[Record]
    waiting: Tuple[Waiting, ...]


class Ring:
    """The file, checked as it is read."""

    def __init__(self, path: Path) -> None:
        self.notes: List[str] = []
        self.records = self.overwritten = self.damaged = 0
        self._path = path
        self._data = _map(path)
        self.head = _Head(self._data)
        for fault in self.head.mend(len(self._data)):
            self.notes.append(f"{path}: is damaged: {fault}")
        self.program, self.command = (_text(self._data[at:end]) for at, end in
                                      ((216, 472), (472, HEAD_BYTES)))
        self._names: Dict[int, str] = {}
        self._rate = self._ticks_per_ns()
        self._serials: Set[int] = set()
        self.end_ticks = 0

    # the clock

    def _ticks_per_ns(self) -> float:
        """From the beginning to the last time that the program looked at both clocks."""
        head = self.head
        ticks, mono = (head.ticks_b, head.mono_b) if head.now & 1 else (head.ticks_a, head.mono_a)
        ticks, mono = ticks - head.start_ticks, mono - head.start_mono
        rate = ticks / mono if ticks > 0 and mono > 0 else 0.0
        if RATES[0] <= rate * 1e9 <= RATES[1]:
            return rate
        self.notes.append(f"{self._path}: the program ended before the rate of its clock was "
                          "known: times are in ticks, and mean nothing but their order")
        return 1.0

    @property
    def ticks_per_second(self) -> int:
        return round(self._rate * 1e9)

    def boot(self, ticks: int) -> int:
        """Ticks as ns since boot."""
        since = round((ticks - self.head.start_ticks) / self._rate)
        return min(max(self.head.start_boot + since, 0), LATEST)

    def last_anchor(self) -> int:
        """The ticks at which the program lived for certain. What stands there at first is a guess
        of what the clocks will say."""
        last = self.head.ticks_b if self.head.now & 1 else self.head.ticks_a
        return self.head.start_ticks if last == self.head.start_ticks + GUESSED else last

    # tables

    def name(self, number: int) -> str:
        """The text of a slot of the table of names."""
        found = self._names.get(number)
        if found is None:
            found = self._names[number] = self._slot(number)
        return found

    def _slot(self, number: int) -> str:
        head = self.head
        if not 0 < number < head.names_slots:
            self.damaged += 1
            return ""
        _, text, size = SLOT.unpack_from(self._data, head.names_at + number * SLOT.size)
        if size > head.texts_bytes or text > head.texts_bytes - size:
            self.damaged += 1
            return ""
        return _text(self._data[head.texts_at + text:head.texts_at + text + size], whole=True)

    def site(self, address: int) -> Site:
        """The stack at an address of the program's memory."""
        head = self.head
        at = address - head.base
        if not head.sites_at <= at <= head.sites_at + head.sites_bytes - SITE.size:
            self.damaged += address != 0
            return Site(0, ())
        _, _, _, epoch, depth = SITE.unpack_from(self._data, at)
        room = (head.sites_at + head.sites_bytes - at - SITE.size) // 8
        if not 0 <= depth <= min(room, DEEPEST):
            self.damaged += 1
            return Site(0, ())
        return Site(epoch, struct.unpack_from(f"<{depth}Q", self._data, at + SITE.size))

    def modules(self) -> List[Module]:
        """What was loaded where."""
        head, found = self.head, []
        used = min(head.modules_used, head.modules_bytes)
        text = self._data[head.modules_at:head.modules_at + used].decode("utf-8", "surrogateescape")
        for line in text.split("\n"):
            words = line.split(" ", 5)
            try:
                epoch, (start, end, offset) = int(words[0]), (int(word, 16) for word in words[1:4])
                found.append(Module(epoch, start, end, offset, words[4].replace("-", ""), words[5]))
            except (ValueError, IndexError):
                self.damaged += bool(line)
        return found

    # records

    def strands(self) -> List[Strand]:
        """The threads with their records."""
        pieces: List[_Piece] = []
        for place in range(self.head.chunks):
            pieces += self._chunk(self.head.chunks_at + place * self.head.chunk_bytes)
        pieces.sort(key=lambda piece: (piece.ticks, piece.serial, piece.at))
        found: Dict[int, Strand] = {}
        for piece in self._without_gaps(pieces):
            strand = found.get(piece.instance)
            if strand is None:
                strand = found[piece.instance] = Strand(
                    piece.instance, piece.tid, piece.name, piece.start, [], piece.continued)
            strand.name = piece.name or strand.name
            _extend(strand.records, piece.records)
            strand.waiting = piece.waiting
        return list(found.values())

    def _without_gaps(self, pieces: Sequence[_Piece]) -> List[_Piece]:
        """Without what is older than a chunk that is gone, of the same thread: one that is held up
        while others go round the pool may keep an old chunk and lose a newer one."""
        there = {serial & 0xffffffff for serial in self._serials}
        kept: List[_Piece] = []
        cut: Set[int] = set()           # threads with a gap behind
        for piece in reversed(pieces):
            if piece.instance in cut:
                self.overwritten += 1 + len(piece.records)
                continue
            kept.append(piece)
            if piece.before and piece.before not in there:
                cut.add(piece.instance)
        return kept[::-1]

    def _chunk(self, at: int) -> List[_Piece]:
        """The pieces of a chunk. A program that still runs may take the chunk meanwhile: then it
        has another serial afterwards, and what was read is left out."""
        (serial, used, state, _, dropped, ticks, item, cause, wait_used,
         pc) = CHUNK.unpack_from(self._data, at)
        self.overwritten += dropped
        self._serials.add(serial)
        if not serial or not used:
            return []
        lasts = cause and state == OPEN and wait_used == used   # nothing was recorded since
        used = min(used, self.head.chunk_bytes - CHUNK_HEAD)
        data = self._data[at + CHUNK_HEAD:at + CHUNK_HEAD + used]
        if CHUNK.unpack_from(self._data, at)[0] != serial:
            return []
        waiting = (Waiting(ticks, item, cause, pc),) if lasts else ()
        return list(self._pieces(data, serial, waiting))

    def _pieces(self, data: bytes, serial: int, waiting: Tuple[Waiting, ...]) -> Iterator[_Piece]:
        piece: Optional[_Piece] = None
        for at, record in self._records(data):
            self.records += 1
            self.end_ticks = max(self.end_ticks, record.ticks)
            if record.kind == THREAD:
                if piece:
                    yield piece
                instance, tid, start, name = struct.unpack("<IiQ16s", record.words)
                piece = _Piece(record.ticks, serial, at, instance, tid, start, _text(name),
                               bool(record.flags & CONTINUED), record.name, [], ())
            elif piece is None:
                self.damaged += 1       # whose this is, is not known
            else:
                piece.records.append(record)
        if piece:
            yield piece._replace(waiting=waiting)

    def _records(self, data: bytes) -> Iterator[Tuple[int, Record]]:
        """The records of a chunk, up to the first that cannot be one."""
        at = 0
        while at + RECORD.size <= len(data):
            ticks, name, size, kind, flags = RECORD.unpack_from(data, at)
            begin, words = at + RECORD.size, WORDS.get(kind, 0)
            if not THREAD <= kind <= TEXT or size < words or begin + size > len(data):
                self.damaged += 1
                return
            yield at, Record(ticks, name, kind, flags, data[begin:begin + words],
                             data[begin + words:begin + size])
            at = begin + (size + 15 & ~15)


def _extend(records: List[Record], more: List[Record]) -> None:
    """Adds records; long texts come in pieces."""
    for record in more:
        if record.kind != TEXT:
            records.append(record)
        elif records and records[-1].flags & MORE:
            records[-1] = records[-1]._replace(text=records[-1].text + record.text)


class _Head:
    """The first KiB."""
    base: int
    bytes: int
    names_at: int
    names_slots: int
    texts_at: int
    texts_bytes: int
    modules_at: int
    modules_bytes: int
    modules_used: int
    sites_at: int
    sites_bytes: int
    chunks_at: int
    chunk_bytes: int
    chunks: int
    start_ticks: int
    start_mono: int
    start_boot: int
    start_unix: int
    ticks_a: int
    ticks_b: int
    mono_a: int
    mono_b: int
    now: int
    processors: int
    pid: int
    lost: int

    def __init__(self, data: mmap.mmap) -> None:
        values = struct.unpack_from("<" + "".join(kind for _, kind in HEAD), data, len(MAGIC))
        self.__dict__.update((name, value) for (name, _), value in zip(HEAD, values))

    def mend(self, size: int) -> Iterator[str]:
        """Takes away what cannot be, and says what it was."""
        for name, unit in (("names", SLOT.size), ("texts", 1), ("modules", 1), ("sites", 1)):
            at, length = getattr(self, f"{name}_at"), f"{name}_{'slots' if unit > 1 else 'bytes'}"
            if at > size or getattr(self, length) * unit > size - at:
                setattr(self, length, 0)
                yield f"its table of {name} is said to be outside of the file: it is left out"
        if self.chunk_bytes <= CHUNK_HEAD or self.chunks_at > size:
            self.chunks = 0
            yield "it does not say where its events are"
        elif self.chunks > (size - self.chunks_at) // self.chunk_bytes:
            there = (size - self.chunks_at) // self.chunk_bytes
            yield (f"its end is missing: {self.chunks - there} of {self.chunks} chunks of events "
                   "are left out")
            self.chunks = there


def _map(path: Path) -> mmap.mmap:
    """The file as memory: it may be large, and a program may go on to write to it."""
    try:
        with path.open("rb") as stream:
            if stream.read(len(MAGIC)) != MAGIC:
                raise GraderError(f"{path}: is no ring file of version 1 (one begins with 'perflab "
                                  "ring 1'); name the FILE.ring that a killed program left")
            data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise GraderError(f"{path}: cannot be read: {short(why, 80)}; name the FILE.ring that a "
                          "killed program left") from None
    if len(data) < HEAD_BYTES:
        raise GraderError(f"{path}: is cut off: it has {len(data)} bytes, and its head alone has "
                          f"{HEAD_BYTES}; nothing can be recovered")
    return data


def _text(data: bytes, whole: bool = False) -> str:
    """Text, up to its NUL."""
    return (data if whole else data.partition(b"\0")[0]).decode("utf-8", "replace")
