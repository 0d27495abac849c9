"""Reads what an ELF file defines, needs and runs by itself: enough to keep an object honest,
and to find the addresses of a profile in it.

A small reader of our own, since a student's machine need not have readelf, and since its output
would have to be parsed. 64-bit little-endian files only: those of every machine that grades.
"""
from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, List, Optional, Tuple

SHT_SYMTAB, SHT_DYNAMIC, SHT_DYNSYM = 2, 6, 11
STB_LOCAL = 0
STT_FUNC, STT_IFUNC = 2, 10
DT_NEEDED = 1
PT_LOAD, PT_NOTE = 1, 4
NT_GNU_BUILD_ID = 3

SEGMENT = struct.Struct("<IIQQQQQQ")
NOTE = struct.Struct("<III")
SECTION = struct.Struct("<IIQQQQIIQQ")
SYMBOL = struct.Struct("<IBBHQQ")
DYNAMIC = struct.Struct("<qQ")


class NotElf(Exception):
    """The file is not a 64-bit little-endian ELF file, or is damaged."""


@dataclass(frozen=True)
class Section:
    name: str
    kind: int
    offset: int
    size: int
    link: int


@dataclass(frozen=True)
class Symbol:
    """A global or weak symbol."""
    name: str
    defined: bool
    indirect: bool      # resolved by code that runs when the program starts (IFUNC)


@dataclass(frozen=True)
class Segment:
    """A part of the file that is mapped, or that holds notes about it."""
    kind: int
    offset: int
    address: int
    size: int           # in the file


class Elf:
    """One object, program or library."""

    def __init__(self, path: Path) -> None:
        self._data = path.read_bytes()
        try:
            self.sections: Tuple[Section, ...] = tuple(self._sections())
        except (struct.error, IndexError, ValueError, OverflowError):
            raise NotElf(f"{path}: damaged ELF file") from None

    def symbols(self, dynamic: bool = False) -> Tuple[Symbol, ...]:
        """The global symbols; those of the dynamic linker with ``dynamic``."""
        wanted = SHT_DYNSYM if dynamic else SHT_SYMTAB
        return tuple(symbol for section in self.sections if section.kind == wanted
                     for symbol in self._symbols(section))

    def needed(self) -> Tuple[str, ...]:
        """The names of the shared libraries that the file asks for."""
        return tuple(self._string(self.sections[section.link], value)
                     for section in self.sections if section.kind == SHT_DYNAMIC
                     for tag, value in DYNAMIC.iter_unpack(self._content(section))
                     if tag == DT_NEEDED)

    def interpreter(self) -> Optional[Path]:
        """The program's dynamic linker."""
        for section in self.sections:
            if section.name == ".interp":
                return Path(self._text(section.offset))
        return None

    def build_id(self) -> str:
        """The build id as hexadecimal text, or ""."""
        try:
            return next((found for segment in self._segments() if segment.kind == PT_NOTE
                         for found in self._build_ids(segment)), "")
        except (struct.error, OverflowError):
            return ""

    def address(self, offset: int) -> Optional[int]:
        """The link-time address of a byte of the file, None when it is not mapped."""
        try:
            return next((offset - segment.offset + segment.address
                         for segment in self._segments() if segment.kind == PT_LOAD
                         and segment.offset <= offset < segment.offset + segment.size), None)
        except (struct.error, OverflowError):
            return None

    def functions(self) -> List[Tuple[int, int, str]]:
        """Address, size and name of every function, local ones too, by address."""
        found: List[Tuple[int, int, str]] = []
        try:
            for section in self.sections:
                if section.kind in (SHT_SYMTAB, SHT_DYNSYM):
                    strings = self.sections[section.link]
                    found += [(value, size, self._string(strings, name).partition("@")[0])
                              for name, info, _, index, value, size
                              in SYMBOL.iter_unpack(self._content(section))
                              if index and info & 15 in (STT_FUNC, STT_IFUNC)]
        except (struct.error, IndexError, ValueError):
            pass        # what was read of a damaged table counts
        return sorted(found)

    def content(self, name: str) -> bytes:
        """The bytes of a section, none when there is no such section."""
        return next((self._data[section.offset:section.offset + section.size]
                     for section in self.sections if section.name == name), b"")

    def _segments(self) -> Iterator[Segment]:
        (table,) = struct.unpack_from("<Q", self._data, 0x20)
        entry, count = struct.unpack_from("<HH", self._data, 0x36)
        for number in range(count):
            kind, _, offset, address, _, size, _, _ = SEGMENT.unpack_from(
                self._data, table + entry * number)
            yield Segment(kind, offset, address, size)

    def _build_ids(self, segment: Segment) -> Iterator[str]:
        at, end = segment.offset, segment.offset + segment.size
        while at + NOTE.size <= end:
            name, size, kind = NOTE.unpack_from(self._data, at)
            start = at + NOTE.size + (name + 3 & ~3)
            if kind == NT_GNU_BUILD_ID and self._data[at + NOTE.size:start] == b"GNU\0":
                yield self._data[start:start + size].hex()
            at = start + (size + 3 & ~3)

    def _sections(self) -> Iterator[Section]:
        if self._data[:6] != b"\x7fELF\x02\x01":
            raise NotElf("not a 64-bit little-endian ELF file")
        (table,) = struct.unpack_from("<Q", self._data, 0x28)
        entry, count, names = struct.unpack_from("<HHH", self._data, 0x3A)
        raw: List[Tuple[int, ...]] = [SECTION.unpack_from(self._data, table + entry * number)
                                      for number in range(count)]
        if count and names == 0xFFFF:       # more than 65,280 sections
            names = raw[0][6]
        for name, kind, _, _, offset, size, link, _, _, _ in raw:
            yield Section(self._text(raw[names][4] + name), kind, offset, size, link)

    def _symbols(self, section: Section) -> Iterator[Symbol]:
        strings = self.sections[section.link]
        for name, info, _, index, _, _ in SYMBOL.iter_unpack(self._content(section)):
            if info >> 4 != STB_LOCAL:
                # "name@VERSION" defines the name for the linker too
                text = self._string(strings, name).partition("@")[0]
                yield Symbol(text, index != 0, info & 15 == STT_IFUNC)

    def _content(self, section: Section) -> bytes:
        size = section.size - section.size % (16 if section.kind == SHT_DYNAMIC else SYMBOL.size)
        return self._data[section.offset:section.offset + size]

    def _string(self, table: Section, offset: int) -> str:
        return self._text(table.offset + offset)

    def _text(self, start: int) -> str:
        return self._data[start:self._data.index(b"\0", start)].decode("utf-8", "replace")
