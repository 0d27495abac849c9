"""Reads and writes pprof files: profile.proto in protobuf's wire format, usually inside gzip.

    read(path)      a Profile, whatever ids the file gives its tables
    load(data)      the same from bytes; ``strict`` wants what the strictest reader wants
    dump(profile)   the bytes of a file that every reader takes

A file from outside is not trusted: whatever is wrong with it becomes one line that names the file,
what and where, and neither its size nor its claims about sizes can use up the memory.
"""
from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Tuple, TypeVar

from . import wire as wire_format
from .model import GraderError
from .plain import short
from .profile import (Function, Label, Line, Location, Mapping, Profile, Sample, ValueType)
from .wire import BYTES, VARINT, WIDTHS, number_at, signed, varint

MAX_BYTES = 64 << 20        # of an unpacked file; the largest real ones have a fifth of it
MAX_MEMBERS = 16            # of gzip, one behind the other
MAX_COST = 24 << 20         # of its numbers and messages together, see Reader
MESSAGE_COST = 16           # a message takes about so many times the memory of a number
TEXT = frozenset(b"\t\n\r") | frozenset(range(32, 127))
GZIP = b"\x1f\x8b"
ADVICE = "take the profile again, or name another file"
Raw = Dict[str, Any]        # a decoded message: its fields by name
Value = TypeVar("Value")


class Field(NamedTuple):
    """One field of a message. ``kind``: int, uint, bytes, or the name of another message."""
    name: str
    kind: str
    many: bool = False


MESSAGES: Dict[str, Dict[int, Field]] = {
    "profile": {
        1: Field("sample_type", "value_type", True), 2: Field("sample", "sample", True),
        3: Field("mapping", "mapping", True), 4: Field("location", "location", True),
        5: Field("function", "function", True), 6: Field("string_table", "bytes", True),
        7: Field("drop_frames", "int"), 8: Field("keep_frames", "int"),
        9: Field("time_nanos", "int"), 10: Field("duration_nanos", "int"),
        11: Field("period_type", "value_type"), 12: Field("period", "int"),
        13: Field("comment", "int", True), 14: Field("default_sample_type", "int"),
        15: Field("doc_url", "int")},
    "value_type": {1: Field("type", "int"), 2: Field("unit", "int")},
    "sample": {1: Field("location_id", "uint", True), 2: Field("value", "int", True),
               3: Field("label", "label", True)},
    "label": {1: Field("key", "int"), 2: Field("str", "int"), 3: Field("num", "int"),
              4: Field("num_unit", "int")},
    "mapping": {
        1: Field("id", "uint"), 2: Field("memory_start", "uint"), 3: Field("memory_limit", "uint"),
        4: Field("file_offset", "uint"), 5: Field("filename", "int"), 6: Field("build_id", "int"),
        7: Field("has_functions", "uint"), 8: Field("has_filenames", "uint"),
        9: Field("has_line_numbers", "uint"), 10: Field("has_inline_frames", "uint")},
    "location": {1: Field("id", "uint"), 2: Field("mapping_id", "uint"),
                 3: Field("address", "uint"), 4: Field("line", "line", True),
                 5: Field("is_folded", "uint")},
    "line": {1: Field("function_id", "uint"), 2: Field("line", "int"), 3: Field("column", "int")},
    "function": {1: Field("id", "uint"), 2: Field("name", "int"), 3: Field("system_name", "int"),
                 4: Field("filename", "int"), 5: Field("start_line", "int")},
}


class Malformed(Exception):
    """What is wrong with a profile, and where; the caller adds the file's name."""


def read(path: Path, strict: bool = False) -> Profile:
    """The profile in a file."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise GraderError(f"{path}: cannot be read: {error.strerror}; "
                          "name a profile file, such as cpu.pb.gz") from None
    return load(data, str(path), strict)


def load(data: bytes, name: str = "profile", strict: bool = False) -> Profile:
    """The profile in ``data``; errors begin with ``name``.

    Without ``strict`` ids may have gaps and any order, as pprof allows; they are numbered anew.
    """
    try:
        return _Builder(_decode("profile", _unpacked(data), _Budget(), ""), strict).profile()
    except Malformed as error:
        raise GraderError(f"{name}: {error}; {ADVICE}") from None


def dump(profile: Profile, compress: bool = True) -> bytes:
    """The profile as bytes of a file. Equal profiles give equal bytes."""
    data = _encode("profile", _Flattener().profile(profile))
    return gzip.compress(data, 6, mtime=0) if compress else data


def write(profile: Profile, path: Path) -> None:
    path.write_bytes(dump(profile))


# bytes and messages -------------------------------------------------------------------------------


class _Budget:
    """Counts what is decoded: a small file can claim to hold millions of empty messages."""

    def __init__(self) -> None:
        self._left = MAX_COST

    def spend(self, cost: int) -> None:
        self._left -= cost
        if self._left < 0:
            raise Malformed("has more entries than any real profile")


def _unpacked(data: bytes) -> bytes:
    if not data:
        raise Malformed("is empty: the program that wrote it may not have ended yet, "
                        "or was killed")
    if all(byte in TEXT for byte in data[:32]):
        raise Malformed("is text, and no pprof profile (one begins with the bytes 1f 8b)")
    if data[:2] != GZIP:
        return _bounded(data)
    unpacked = b""
    try:
        for _ in range(MAX_MEMBERS):
            member = zlib.decompressobj(wbits=31)
            unpacked += member.decompress(data, MAX_BYTES + 1 - len(unpacked))
            _bounded(unpacked)
            if not member.eof:
                raise Malformed("is cut off: the end of its gzip data is missing")
            data = member.unused_data
            if data[:2] != GZIP:
                break
    except zlib.error as error:
        raise Malformed(f"is damaged: gzip says '{error}'") from None
    if data.strip(b"\0"):
        raise Malformed("is damaged: something else follows its gzip data")
    return unpacked


def _bounded(data: bytes) -> bytes:
    if len(data) > MAX_BYTES:
        raise Malformed(f"has more than {MAX_BYTES >> 20} MB unpacked, which is no real profile")
    return data


def _varint(data: bytes, at: int, where: str) -> Tuple[int, int]:
    """The number at ``at``, and where the next thing begins."""
    try:
        return number_at(data, at, len(data))
    except wire_format.Malformed as error:
        raise Malformed(f"{where}is damaged: {error}") from None


def _fields(data: bytes, where: str) -> Iterator[Tuple[int, int, Any]]:
    """Number, wire type and content (an int, or bytes) of each field."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at, where)
        number, wire = key >> 3, key & 7
        if wire == VARINT:
            content, at = _varint(data, at, where)
            yield number, wire, content
            continue
        if wire == BYTES:
            size, at = _varint(data, at, where)
        elif wire in WIDTHS:
            size = WIDTHS[wire]
        else:
            raise Malformed(f"{where}is no pprof profile: wire type {wire} at byte {at}")
        if size > len(data) - at:
            raise Malformed(f"{where}is cut off: {size} bytes at byte {at}, "
                            f"where {len(data) - at} are left")
        yield number, wire, data[at:at + size]
        at += size


def _decode(message: str, data: bytes, budget: _Budget, where: str) -> Raw:
    """A message's fields by name; unknown fields are left out."""
    schema = MESSAGES[message]
    raw: Raw = {field.name: [] if field.many else None if field.kind in MESSAGES else 0
                for field in schema.values()}
    budget.spend(MESSAGE_COST)
    for number, wire, content in _fields(data, where):
        field = schema.get(number)
        if number == 0:
            raise Malformed(f"{where}is no pprof profile: field 0")
        if field and field.many:
            _append(raw[field.name], field, wire, content, budget, where)
        elif field:
            if raw[field.name] and field.name == "time_nanos":
                raise Malformed("holds two profiles, one behind the other")
            raw[field.name] = _single(field, wire, content, budget, where)
    return raw


def _append(values: List[Any], field: Field, wire: int, content: Any, budget: _Budget,
            where: str) -> None:
    if field.kind in ("int", "uint") and wire == BYTES:
        numbers = _packed(content, where)
        budget.spend(len(numbers))
        values += [signed(number) for number in numbers] if field.kind == "int" else numbers
    else:
        place = f"{field.name.replace('_', ' ')} {len(values) + 1}: "
        values.append(_single(field, wire, content, budget, place if not where else where))


def _single(field: Field, wire: int, content: Any, budget: _Budget, where: str) -> Any:
    if wire != (VARINT if field.kind in ("int", "uint") else BYTES):
        raise Malformed(f"{where}is no pprof profile: {field.name} has wire type {wire}")
    if field.kind in MESSAGES:
        return _decode(field.kind, content, budget, where)
    budget.spend(1)
    return signed(content) if field.kind == "int" else content


def _packed(data: bytes, where: str) -> List[int]:
    if not data or max(data) < 0x80:    # the common case, and ten times as fast
        return list(data)
    numbers, at = [], 0
    while at < len(data):
        number, at = _varint(data, at, where)
        numbers.append(number)
    return numbers


def _encode(message: str, raw: Raw) -> bytes:
    """The message's bytes; zeros and empty lists are left out, as the format wants it."""
    parts: List[bytes] = []
    for number, field in MESSAGES[message].items():
        value = raw.get(field.name)
        if field.many and field.kind in ("int", "uint"):
            value = b"".join(map(varint, value or ()))
            parts += [varint(number << 3 | BYTES), varint(len(value)), value] if value else []
        elif field.kind in ("int", "uint"):
            parts += [varint(number << 3 | VARINT), varint(value)] if value else []
        else:
            for item in (value or ()) if field.many else filter(None, (value,)):
                content = item if field.kind == "bytes" else _encode(field.kind, item)
                parts += [varint(number << 3 | BYTES), varint(len(content)), content]
    return b"".join(parts)


# from messages to a Profile -----------------------------------------------------------------------


class _Builder:
    """Checks a decoded profile and makes a Profile of it.

    Checked always: what pprof itself refuses, and references that lead nowhere. With ``strict``
    also what Parca refuses: ids that are not 1, 2, 3 ... in the order of their table, labels
    without a key, text that is not UTF-8.
    """

    def __init__(self, raw: Raw, strict: bool) -> None:
        self._raw = raw
        self._strict = strict
        table: List[bytes] = raw["string_table"]
        if not table or table[0]:
            raise Malformed("string 1 must be empty" if table else "has no table of strings: "
                            "it is no pprof profile")
        self._strings = [self._decoded(number, text) for number, text in enumerate(table, 1)]
        self._mappings = self._ids("mapping")
        self._functions = self._ids("function")
        self._locations = self._ids("location")

    def profile(self) -> Profile:
        raw, text = self._raw, self._text
        types = self._each("sample_type", self._value_type)
        if raw["sample"] and not types:
            raise Malformed("has samples, but does not say of which type")
        period = raw["period_type"]
        return Profile(
            sample_types=types, samples=self._each("sample", self._sample),
            mappings=self._each("mapping", self._mapping),
            locations=self._each("location", self._location),
            functions=self._each("function", self._function),
            period_type=self._value_type(period, "period type") if period else None,
            period=raw["period"], time_nanos=raw["time_nanos"],
            duration_nanos=raw["duration_nanos"],
            default_sample_type=text(raw, "default_sample_type", "default sample type"),
            comments=tuple(self._string(index, f"comment {number}")
                           for number, index in enumerate(raw["comment"], 1)),
            drop_frames=text(raw, "drop_frames", "drop frames"),
            keep_frames=text(raw, "keep_frames", "keep frames"),
            doc_url=text(raw, "doc_url", "doc url"))

    def _each(self, table: str, make: Callable[[Raw, str], Value]) -> Tuple[Value, ...]:
        words = table.replace("_", " ")
        return tuple(make(raw, f"{words} {number}")
                     for number, raw in enumerate(self._raw[table], 1))

    def _ids(self, table: str) -> Dict[int, int]:
        """From the id in the file to the place in the table."""
        places: Dict[int, int] = {}
        for number, raw in enumerate(self._raw[table], 1):
            given = raw["id"]
            if not given:
                raise Malformed(f"{table} {number}: has no id")
            if given in places:
                raise Malformed(f"{table} {number}: has the id {given} of {table} {places[given]}")
            if self._strict and given != number:
                raise Malformed(f"{table} {number}: has the id {given}; "
                                "ids are 1, 2, 3 and so on")
            places[given] = number
        return places

    def _decoded(self, number: int, text: bytes) -> str:
        try:
            return text.decode("utf-8", "strict" if self._strict else "backslashreplace")
        except UnicodeDecodeError as error:
            raise Malformed(f"string {number}: byte {error.start} is not UTF-8") from None

    def _string(self, index: int, where: str) -> str:
        if not 0 <= index < len(self._strings):
            raise Malformed(f"{where}: string {index} does not exist")
        return self._strings[index]

    def _text(self, raw: Raw, field: str, where: str) -> str:
        return self._string(raw[field], where) if raw[field] else ""

    def _value_type(self, raw: Raw, where: str) -> ValueType:
        return ValueType(self._text(raw, "type", where), self._text(raw, "unit", where))

    def _sample(self, raw: Raw, where: str) -> Sample:
        if len(raw["value"]) != len(self._raw["sample_type"]):
            raise Malformed(f"{where}: has {len(raw['value'])} values for "
                            f"{len(self._raw['sample_type'])} sample types")
        return Sample(tuple(self._place(self._locations, number, "location", where)
                            for number in raw["location_id"]),
                      tuple(raw["value"]),
                      tuple(self._label(label, f"{where}: label {number}")
                            for number, label in enumerate(raw["label"], 1)))

    def _label(self, raw: Raw, where: str) -> Label:
        if self._strict and not raw["key"]:
            raise Malformed(f"{where}: has no key")
        return Label(self._text(raw, "key", where), self._text(raw, "str", where), raw["num"],
                     self._text(raw, "num_unit", where))

    def _mapping(self, raw: Raw, where: str) -> Mapping:
        return Mapping(
            self._mappings[raw["id"]], raw["memory_start"], raw["memory_limit"],
            raw["file_offset"], self._text(raw, "filename", where),
            self._text(raw, "build_id", where), bool(raw["has_functions"]),
            bool(raw["has_filenames"]), bool(raw["has_line_numbers"]),
            bool(raw["has_inline_frames"]))

    def _location(self, raw: Raw, where: str) -> Location:
        mapping = raw["mapping_id"]
        return Location(
            self._locations[raw["id"]],
            self._place(self._mappings, mapping, "mapping", where) if mapping else 0,
            raw["address"], tuple(self._line(line, where) for line in raw["line"]),
            bool(raw["is_folded"]))

    def _line(self, raw: Raw, where: str) -> Line:
        return Line(self._place(self._functions, raw["function_id"], "function", where),
                    raw["line"], raw["column"])

    def _function(self, raw: Raw, where: str) -> Function:
        return Function(self._functions[raw["id"]], self._text(raw, "name", where),
                        self._text(raw, "system_name", where), self._text(raw, "filename", where),
                        raw["start_line"])

    @staticmethod
    def _place(places: Dict[int, int], number: int, table: str, where: str) -> int:
        if number not in places:
            raise Malformed(f"{where}: {table} {number} does not exist")
        return places[number]


# from a Profile to messages -----------------------------------------------------------------------


class _Flattener:
    """Turns a Profile into nested messages whose texts are places in one table."""

    def __init__(self) -> None:
        self._places: Dict[str, int] = {"": 0}

    def profile(self, profile: Profile) -> Raw:
        raw: Raw = {
            "sample_type": list(map(self._value_type, profile.sample_types)),
            "sample": list(map(self._sample, profile.samples)),
            "mapping": list(map(self._mapping, profile.mappings)),
            "location": list(map(self._location, profile.locations)),
            "function": list(map(self._function, profile.functions)),
            "period": profile.period, "time_nanos": profile.time_nanos,
            "duration_nanos": profile.duration_nanos,
            "comment": list(map(self._text, profile.comments))}
        if profile.period_type:
            raw["period_type"] = self._value_type(profile.period_type)
        for name in ("drop_frames", "keep_frames", "default_sample_type", "doc_url"):
            raw[name] = self._text(getattr(profile, name))
        raw["string_table"] = [text.encode("utf-8", "surrogateescape") for text in self._places]
        return raw

    def _text(self, text: str) -> int:
        return self._places.setdefault(text, len(self._places))

    def _value_type(self, item: ValueType) -> Raw:
        return {"type": self._text(item.type), "unit": self._text(item.unit)}

    def _sample(self, sample: Sample) -> Raw:
        return {"location_id": sample.locations, "value": sample.values,
                "label": [{"key": self._text(label.key), "str": self._text(label.text),
                           "num": label.number, "num_unit": self._text(label.unit)}
                          for label in sample.labels]}

    def _mapping(self, item: Mapping) -> Raw:
        return {"id": item.id, "memory_start": item.start, "memory_limit": item.limit,
                "file_offset": item.offset, "filename": self._text(item.file),
                "build_id": self._text(item.build_id), "has_functions": item.has_functions,
                "has_filenames": item.has_filenames, "has_line_numbers": item.has_line_numbers,
                "has_inline_frames": item.has_inline_frames}

    def _location(self, item: Location) -> Raw:
        return {"id": item.id, "mapping_id": item.mapping, "address": item.address,
                "is_folded": item.folded,
                "line": [{"function_id": line.function, "line": line.line, "column": line.column}
                         for line in item.lines]}

    def _function(self, item: Function) -> Raw:
        return {"id": item.id, "name": self._text(item.name),
                "system_name": self._text(item.system_name), "filename": self._text(item.file),
                "start_line": item.start_line}
