"""A reader of pprof files that trusts nothing: its own decoder, and every rule that readers check
(pprof's CheckValid, Parca's normalizer)."""
from __future__ import annotations

import gzip
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, Iterator, List, Tuple, Union

Value = Union[int, bytes]


def varint(data: bytes, at: int) -> Tuple[int, int]:
    """A number and the place behind it."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            assert value < 1 << 64, "a varint of more than 64 bits"
            return value, at


def fields(data: bytes) -> Iterator[Tuple[int, Value]]:
    """The fields of a message; only the two kinds that profiles have."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
            yield key >> 3, value
        else:
            assert key & 7 == 2, f"field {key >> 3} of kind {key & 7}"
            size, at = varint(data, at)
            assert at + size <= len(data), "a field longer than its message"
            yield key >> 3, data[at:at + size]
            at += size


class Message:
    """A message as lists of values by field number."""

    def __init__(self, data: bytes) -> None:
        self.values: Dict[int, List[Value]] = {}
        for number, value in fields(data):
            self.values.setdefault(number, []).append(value)

    def number(self, number: int) -> int:
        """A field that is a number; 0 when it is not there."""
        values = self.values.get(number, [0])
        assert len(values) == 1 and isinstance(values[0], int), f"field {number}: {values}"
        return values[0]

    def messages(self, number: int) -> List[Message]:
        """A repeated field of messages."""
        return [Message(value) for value in self.values.get(number, []) if isinstance(value, bytes)]

    def packed(self, number: int) -> List[int]:
        """A repeated number in one piece."""
        found: List[int] = []
        for value in self.values.get(number, []):
            assert isinstance(value, bytes)
            at = 0
            while at < len(value):
                one, at = varint(value, at)
                found.append(one)
        return found


@dataclass
class Sample:
    """One stack, its frames innermost first as (function, mapping number or 0, address)."""
    frames: List[Tuple[str, int, int]]
    values: List[int]
    labels: Dict[str, Union[str, int]]


@dataclass
class Mapping:
    """A segment of a file."""
    start: int
    limit: int
    offset: int
    filename: str
    build_id: str
    has_functions: bool


@dataclass
class Profile:
    """What the tests look at."""
    types: List[Tuple[str, str]]
    samples: List[Sample]
    mappings: List[Mapping]
    system_names: Dict[str, str]
    comments: List[str]
    message: Message = field(repr=False)

    def flat(self, function: str) -> int:
        """The first value of the samples whose innermost function this is."""
        return sum(s.values[0] for s in self.samples if s.frames and s.frames[0][0] == function)

    def cum(self, function: str) -> int:
        """The first value of the samples that have the function anywhere."""
        return sum(s.values[0] for s in self.samples
                   if any(frame[0] == function for frame in s.frames))

    def mapping(self, part: str) -> Mapping:
        """The mapping whose file has this in its name."""
        return next(m for m in self.mappings if part in m.filename)


def sequential(messages: List[Message]) -> None:
    """Numbers are the places in the list, from 1 on."""
    assert [message.number(1) for message in messages] == list(range(1, len(messages) + 1))


def read(path: Path) -> Profile:
    """Reads and checks a compressed profile."""
    whole = Message(gzip.decompress(path.read_bytes()))
    strings = [value.decode() for value in whole.values[6] if isinstance(value, bytes)]
    assert strings[0] == "" and len(set(strings)) == len(strings)

    def text(message: Message, number: int) -> str:
        return strings[message.number(number)]

    types = [(text(t, 1), text(t, 2)) for t in whole.messages(1)]
    mappings, locations, functions = (whole.messages(number) for number in (3, 4, 5))
    for table in (mappings, locations, functions):
        sequential(table)
    named = [text(f, 2) for f in functions]
    assert all(named) and all(text(f, 3) for f in functions)
    assert len({(text(f, 2), text(f, 3)) for f in functions}) == len(functions)
    frames = [frame(location, mappings, named) for location in locations]
    samples = [sample(s, types, frames, strings) for s in whole.messages(2)]
    ordered = [s.values[0] for s in samples if "lostProfileEvent" not in s.frames[0][0]]
    assert ordered == sorted(ordered, reverse=True)
    return Profile(types, samples,
                   [Mapping(m.number(2), m.number(3), m.number(4), text(m, 5), text(m, 6),
                            bool(m.number(7))) for m in mappings],
                   {text(f, 2): text(f, 3) for f in functions},
                   [strings[i] for i in whole.values.get(13, []) if isinstance(i, int)], whole)


def frame(location: Message, mappings: List[Message], named: List[str]) -> Tuple[str, int, int]:
    """A location has one function, and lies in its mapping."""
    lines = location.messages(4)
    assert len(lines) == 1 and 1 <= lines[0].number(1) <= len(named)
    mapping, address = location.number(2), location.number(3)
    assert 0 <= mapping <= len(mappings)
    if mapping:
        m = mappings[mapping - 1]
        assert m.number(2) <= address < m.number(3)
    return named[lines[0].number(1) - 1], mapping, address


def sample(message: Message, types: List[Tuple[str, str]], frames: List[Tuple[str, int, int]],
           strings: List[str]) -> Sample:
    """A value for each type, locations that exist, labels with a key and a value."""
    stack, values = message.packed(1), message.packed(2)
    assert len(values) == len(types) and all(1 <= at <= len(frames) for at in stack) and stack
    labels: Dict[str, Union[str, int]] = {}
    for label in message.messages(3):
        key, word, number = (label.number(i) for i in (1, 2, 3))
        assert strings[key] and (word == 0) != (number == 0)
        labels[strings[key]] = strings[word] or number
    return Sample([frames[at - 1] for at in stack], values, labels)
