"""Makes ring files, as the tracer writes them: what the tests of the exporter begin with.

From the format's own description (>>record and >>event in perflab.h), sharing no code with what
reads it.
"""
from __future__ import annotations

import struct
from pathlib import Path
from typing import Dict, List, Optional

(THREAD, THREAD_END, BEGIN, END, INSTANT, COUNTER, LOG, TASK_BEGIN, TASK_END, TASK_ENTER,
 TASK_LEAVE, FLOW_OUT, FLOW_IN, WAIT_BEGIN, WAIT_END, SAMPLE, SCHED, NAME, LOST,
 TEXT) = range(1, 21)
MORE, CONTINUED = 1, 2
CHUNK = 16384
PIECE = 4080
HEAD = 64
PROGRAM = "/opt/süd/server"
START = {"ticks": 1000, "mono": 5_000_000, "boot": 7_000_000, "unix": 1_800_000_000_000_000_000}


def boot(ticks: int) -> int:
    """The moment of a tick: two nanoseconds each."""
    return START["boot"] + 2 * (ticks - START["ticks"])


class Chunk:
    """16 KiB of one thread's, or of several's one after the other."""

    def __init__(self, serial: int, dropped: int = 0) -> None:
        self.serial, self.dropped = serial, dropped
        self.data = b""
        self.records = 0
        self.wait = (0, 0, 0, 0)    # ticks, object, cause, site of a call that still lasts

    def add(self, ticks: int, kind: int, payload: bytes = b"", name: int = 0,
            flags: int = 0) -> None:
        """A record."""
        self.data += struct.pack("<QIHBB", ticks, name, len(payload), kind, flags)
        self.data += payload + bytes(-len(payload) % 16)
        self.records += 1

    def fits(self, payload: int) -> bool:
        """Whether there is room for a record, and some more."""
        return len(self.data) + payload + 128 < CHUNK - HEAD

    def bytes(self) -> bytes:
        """As in the file."""
        ticks, object_, cause, site = self.wait
        head = struct.pack("<QIIIIQQIIQQ", self.serial, len(self.data), 1, self.records,
                           self.dropped, ticks, object_, cause, len(self.data), 0, site)
        return (head + self.data).ljust(CHUNK, b"\0")


class Thread:
    """What one thread writes."""

    def __init__(self, ring: "Ring", instance: int, tid: int, name: bytes, ticks: int,
                 flags: int) -> None:
        self.ring, self.instance, self.tid, self.name, self.flags = ring, instance, tid, name, flags
        self.chunk: Optional[Chunk] = None
        self.say(ticks)

    def say(self, ticks: int) -> None:
        """A chunk begins with whose it is."""
        self.chunk = self.ring.chunk()
        self.chunk.add(ticks, THREAD, struct.pack("<IiQ16s", self.instance, self.tid, 0, self.name),
                       flags=self.flags)
        self.flags = CONTINUED

    def add(self, ticks: int, kind: int, payload: bytes = b"", name: int = 0) -> None:
        """A record; long texts in pieces."""
        while True:
            assert self.chunk
            piece, payload = payload[:PIECE], payload[PIECE:]
            if not self.chunk.fits(len(piece)):
                self.say(ticks)
            self.chunk.add(ticks, kind, piece, name, MORE if payload else 0)
            if not payload:
                return
            kind, name = TEXT, 0

    # -- The kinds; a literal's name is a str, a copied one bytes --

    def named(self, ticks: int, kind: int, name: object, front: bytes = b"") -> None:
        """A record with a name."""
        if isinstance(name, bytes):
            self.add(ticks, kind, front + name)
        else:
            self.add(ticks, kind, front, self.ring.literal(str(name)))

    def begin(self, ticks: int, name: object) -> None:
        self.named(ticks, BEGIN, name)

    def end(self, ticks: int) -> None:
        self.add(ticks, END)

    def instant(self, ticks: int, name: object) -> None:
        self.named(ticks, INSTANT, name)

    def counter(self, ticks: int, name: object, value: float) -> None:
        self.named(ticks, COUNTER, name, struct.pack("<d", value))

    def log(self, ticks: int, key: object, text: bytes) -> None:
        if isinstance(key, bytes):
            self.add(ticks, LOG, key + b"\0" + text)
        else:
            self.add(ticks, LOG, text, self.ring.literal(str(key)))

    def task(self, ticks: int, id_: int, name: bytes, parent: int = 0) -> None:
        self.add(ticks, TASK_BEGIN, struct.pack("<QQ", id_, parent) + name)

    def of(self, ticks: int, kind: int, id_: int) -> None:
        """TASK_END, TASK_ENTER, TASK_LEAVE."""
        self.add(ticks, kind, struct.pack("<Q", id_))

    def flow(self, ticks: int, kind: int, name: object, id_: int) -> None:
        self.named(ticks, kind, name, struct.pack("<Q", id_))

    def wait(self, ticks: int, cause: int, object_: int = 0, site: int = 0) -> None:
        self.add(ticks, WAIT_BEGIN, struct.pack("<QQ", object_, site), cause)

    def wake(self, ticks: int, cause: int, site: int = 0) -> None:
        self.add(ticks, WAIT_END, struct.pack("<Q", site), cause)

    def sample(self, ticks: int, site: int, weight: int) -> None:
        self.add(ticks, SAMPLE, struct.pack("<QQ", site, weight))

    def sched(self, ticks: int, instance: int, tid: int, run: int, wait: int) -> None:
        self.add(ticks, SCHED, struct.pack("<IiQQ", instance, tid, run, wait))

    def rename(self, ticks: int, tid: int, name: bytes) -> None:
        self.add(ticks, NAME, struct.pack("<i16s", tid, name))

    def lost(self, ticks: int, records: int) -> None:
        self.add(ticks, LOST, struct.pack("<Q", records))

    def exit(self, ticks: int) -> None:
        self.add(ticks, THREAD_END)


class Ring:
    """A file."""

    def __init__(self) -> None:
        self.chunks: List[Chunk] = []
        self.names: Dict[str, int] = {}

    def chunk(self, dropped: int = 0) -> Chunk:
        """The next one."""
        self.chunks.append(Chunk(len(self.chunks) + 1, dropped))
        return self.chunks[-1]

    def literal(self, text: str) -> int:
        """Its number."""
        return self.names.setdefault(text, len(self.names) + 1)

    def thread(self, instance: int, tid: int = 0, name: bytes = b"", ticks: int = 1000,
               flags: int = 0) -> Thread:
        """A thread that begins."""
        return Thread(self, instance, tid or 100 + instance, name, ticks, flags)

    def bytes(self) -> bytes:
        """The whole file."""
        slots, texts = [struct.pack("<QII", 0, 0, 0)], b""
        for name in self.names:
            text = name.encode()
            slots.append(struct.pack("<QII", 0x1000 + len(slots), len(texts), len(text)))
            texts += text
        names_at, texts_at = 4096, 4096 + 16 * len(slots)
        chunks_at = (texts_at + len(texts) + 4095) & ~4095
        head = b"perflab ring 1\n\0" + struct.pack(
            "<13Q", 0, 0, names_at, len(slots), texts_at, len(texts), len(texts), 0, 0, 0, 0, 0,
            chunks_at)
        head += struct.pack("<II", CHUNK, len(self.chunks))
        head += struct.pack("<4Q", START["ticks"], START["mono"], START["boot"], START["unix"])
        now = START["ticks"] + 1_000_000_000, START["mono"] + 2_000_000_000
        head += struct.pack("<4QII", now[0], 0, now[1], 0, 0, 0)
        head += struct.pack("<iIQ256s552s", 4711, 4096, 0, PROGRAM.encode(), b"server --port 80")
        whole = head.ljust(names_at, b"\0") + b"".join(slots) + texts
        return whole.ljust(chunks_at, b"\0") + b"".join(c.bytes() for c in self.chunks)

    def write(self, path: Path) -> Path:
        """To a file."""
        path.write_bytes(self.bytes())
        return path
