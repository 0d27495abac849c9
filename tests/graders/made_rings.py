"""Ring files made by hand, byte by byte, as the comment in perflab.h has their layout."""
from __future__ import annotations

import struct
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

BASE = 0x7F0000000000
CHUNK_BYTES = 1024
HEAD, NAMES, TEXTS, MODULES, SITES = 1024, 4096, 4096, 4096, 8192
NAMES_AT = HEAD
TEXTS_AT = NAMES_AT + NAMES
MODULES_AT = TEXTS_AT + TEXTS
SITES_AT = MODULES_AT + MODULES
CHUNKS_AT = SITES_AT + SITES
MODULE = "0 {start:x} {end:x} 0 {id} {path}\n"


class Entry(NamedTuple):
    """A record of a thread."""
    instance: int
    ticks: int
    kind: int
    name: int = 0
    payload: bytes = b""
    flags: int = 0


class Made:
    """What goes into the file. Ticks are half a ns."""

    def __init__(self) -> None:
        self.names: List[str] = [""]
        self.stacks: List[Tuple[int, ...]] = []
        self.modules = ""
        self.entries: List[Entry] = []
        self.waiting: Dict[int, Tuple[int, int, int]] = {}      # by instance
        self.threads: Dict[int, str] = {}
        self.lost = 0
        self.continued: "set[int]" = set()
        self.now: Optional[int] = None

    def name(self, text: str) -> int:
        if text not in self.names:
            self.names.append(text)
        return self.names.index(text)

    def stack(self, *pcs: int) -> int:
        """The address of a stack."""
        self.stacks.append(pcs)
        return BASE + SITES_AT + sum(64 + 8 * len(stack) for stack in self.stacks[:-1])

    def add(self, instance: int, ticks: int, kind: int, name: str = "", payload: bytes = b"",
            number: int = 0, flags: int = 0) -> None:
        self.entries.append(Entry(instance, ticks, kind, self.name(name) if name else number,
                                  payload, flags))

    def file(self) -> bytes:
        """The whole file. Each thread fills chunks of its own."""
        chunks: List[bytes] = []
        for instance in dict.fromkeys(entry.instance for entry in self.entries):
            chunks += self._chunks(instance, [entry for entry in self.entries
                                              if entry.instance == instance], len(chunks))
        body = b"".join((self._names(), self._texts(), self.modules.encode().ljust(MODULES, b"\0"),
                         self._sites(), b"".join(chunks)))
        return self._head(len(chunks), HEAD + len(body)) + body

    def _head(self, chunks: int, size: int) -> bytes:
        last = self.now if self.now is not None else max(
            (entry.ticks for entry in self.entries), default=0) + 2000
        out = b"perflab ring 1\n\0" + struct.pack(
            "<13QII", BASE, size, NAMES_AT, NAMES // 16, TEXTS_AT, TEXTS,
            len("".join(self.names)), MODULES_AT, MODULES, len(self.modules), SITES_AT, SITES,
            CHUNKS_AT, CHUNK_BYTES, chunks)
        out += struct.pack("<4Q", 0, 10 ** 9, 5 * 10 ** 9, 17 * 10 ** 17)
        out += struct.pack("<4QIIiIQ", 7, last, 7, 10 ** 9 + last // 2, 1, 0, 321, 4096, self.lost)
        return (out + b"/usr/bin/made".ljust(256, b"\0") + b"./made -x").ljust(HEAD, b"\0")

    def _names(self) -> bytes:
        out, at = b"\0" * 16, 0
        for text in self.names[1:]:
            size = len(text.encode())
            out += struct.pack("<QII", 1, at, size)
            at += size
        return out.ljust(NAMES, b"\0")

    def _texts(self) -> bytes:
        return "".join(self.names).encode().ljust(TEXTS, b"\0")

    def _sites(self) -> bytes:
        out = b""
        for pcs in self.stacks:
            out += struct.pack(f"<QQQIi32x{len(pcs)}Q", 1, 0, 0, 0, len(pcs), *pcs)
        return out.ljust(SITES, b"\0")

    def _chunks(self, instance: int, entries: Sequence[Entry], before: int) -> List[bytes]:
        out: List[bytes] = []
        data = b""
        for entry in entries:
            record = _record(entry)
            if data and len(data) + len(record) > CHUNK_BYTES - 64:
                out.append(_chunk(before + len(out) + 1, data, 2))
                data = b""
            data = (data or self._thread(instance, entry.ticks, bool(out))) + record
        out.append(_chunk(before + len(out) + 1, data, 1, self.waiting.get(instance, (0, 0, 0))))
        return out

    def _thread(self, instance: int, ticks: int, again: bool) -> bytes:
        payload = struct.pack("<IiQ16s", instance, 1000 + instance, 0,
                              self.threads.get(instance, "").encode())
        flags = 2 * (again or instance in self.continued)
        return _record(Entry(instance, ticks, 1, 0, payload, flags))


def _record(entry: Entry) -> bytes:
    size = len(entry.payload)
    return struct.pack("<QIHBB", entry.ticks, entry.name, size, entry.kind,
                       entry.flags) + entry.payload.ljust(size + 15 & ~15, b"\0")


def _chunk(serial: int, data: bytes, state: int, wait: Tuple[int, int, int] = (0, 0, 0)) -> bytes:
    head = struct.pack("<QIIIIQQII16x", serial, len(data), state, 0, 3, *wait, len(data))
    return (head + data).ljust(
        CHUNK_BYTES, b"\0")
