"""pprof files: read and written whole; whatever is wrong with one is told in one line."""
from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_profiles import full, profile

from graders import pprof
from graders.model import GraderError
from graders.profile import Function, Label, Line, Location, Mapping, Profile, Sample, ValueType
from graders.wire import varint

Raw = Dict[str, Any]
Change = Callable[[Raw], None]


def raw(made: Profile) -> Raw:
    """A profile as nested messages, which a test may spoil."""
    return pprof._Flattener().profile(made)


def spoilt(change: Change, strict: bool = False) -> str:
    """The message about a profile that ``change`` has damaged."""
    message = raw(full())
    change(message)
    with pytest.raises(GraderError) as caught:
        pprof.load(pprof._encode("profile", message), "cpu.pb.gz", strict)
    text = str(caught.value)
    assert text.startswith("cpu.pb.gz: ") and "\n" not in text and len(text) < 200
    return text


def refused(data: bytes) -> str:
    with pytest.raises(GraderError) as caught:
        pprof.load(data, "cpu.pb.gz")
    text = str(caught.value)
    assert text.startswith("cpu.pb.gz: ") and "\n" not in text
    return text


@pytest.mark.parametrize("compress", [True, False])
def test_every_field_comes_back(compress: bool) -> None:
    data = pprof.dump(full(), compress)
    assert (data[:2] == b"\x1f\x8b") == compress
    assert pprof.load(data, strict=True) == full()
    assert pprof.dump(full(), compress) == data


TEXT = st.text(st.characters(blacklist_categories=["Cs"]), max_size=8)
SIGNED = st.integers(-2 ** 63, 2 ** 63 - 1)
UNSIGNED = st.integers(0, 2 ** 64 - 1)


@st.composite
def profiles(draw: st.DrawFn) -> Profile:
    """Any valid profile."""
    types = tuple(draw(st.lists(st.builds(ValueType, TEXT, TEXT), min_size=1, max_size=3)))
    mappings = tuple(Mapping(n, draw(UNSIGNED), draw(UNSIGNED), draw(UNSIGNED), draw(TEXT),
                             draw(TEXT), *(draw(st.booleans()) for _ in range(4)))
                     for n in range(1, draw(st.integers(1, 3))))
    functions = tuple(Function(n, draw(TEXT), draw(TEXT), draw(TEXT), draw(SIGNED))
                      for n in range(1, draw(st.integers(1, 4))))
    line = st.builds(Line, st.integers(1, len(functions)), SIGNED, SIGNED)
    locations = tuple(Location(
        n, draw(st.integers(0, len(mappings))), draw(UNSIGNED),
        tuple(draw(st.lists(line, max_size=3)) if functions else ()), draw(st.booleans()))
        for n in range(1, draw(st.integers(1, 4))))
    label = st.builds(Label, TEXT.filter(bool), TEXT, SIGNED, TEXT)
    numbers = st.lists(st.integers(1, len(locations)), max_size=4) if locations else st.just([])
    samples = draw(st.lists(st.builds(
        lambda stack, values, labels: Sample(tuple(stack), tuple(values), tuple(labels)),
        numbers, st.lists(SIGNED, min_size=len(types), max_size=len(types)),
        st.lists(label, max_size=2)), max_size=4))
    return Profile(types, tuple(samples), mappings, locations, functions,
                   draw(st.none() | st.builds(ValueType, TEXT, TEXT)), draw(SIGNED), draw(SIGNED),
                   draw(SIGNED), draw(TEXT), tuple(draw(st.lists(TEXT, max_size=2))), draw(TEXT),
                   draw(TEXT), draw(TEXT))


@given(profiles())
@settings(max_examples=150, deadline=None)
def test_any_profile_survives_writing_and_reading(made: Profile) -> None:
    assert pprof.load(pprof.dump(made), strict=True) == made


def change(table: str, number: int, **fields: Any) -> Change:
    return lambda message: message[table][number].update(fields)


@pytest.mark.parametrize("damage, words", [
    (change("sample", 1, location_id=[99]), "sample 2: location 99 does not exist"),
    (change("sample", 1, location_id=[0]), "sample 2: location 0 does not exist"),
    (change("sample", 0, value=[1]), "sample 1: has 1 values for 2 sample types"),
    (change("sample", 0, value=[]), "sample 1: has 0 values for 2 sample types"),
    (change("sample_type", 1, unit=999), "sample type 2: string 999 does not exist"),
    (change("sample_type", 1, unit=-1), "sample type 2: string -1 does not exist"),
    (change("location", 0, mapping_id=7), "location 1: mapping 7 does not exist"),
    (change("location", 0, line=[{"function_id": 9}]), "location 1: function 9 does not exist"),
    (change("location", 0, line=[{"line": 9}]), "location 1: function 0 does not exist"),
    (change("location", 1, id=1), "location 2: has the id 1 of location 1"),
    (change("function", 0, id=0), "function 1: has no id"),
    (change("function", 0, name=999), "function 1: string 999 does not exist"),
    (change("mapping", 0, build_id=999), "mapping 1: string 999 does not exist"),
    (lambda m: m["sample"][0]["label"][1].update(num_unit=999), "sample 1: label 2: string 999"),
    (lambda m: m["period_type"].update(type=999), "period type: string 999"),
    (lambda m: m.update(comment=[1, 999]), "comment 2: string 999 does not exist"),
    (lambda m: m.update(default_sample_type=999), "default sample type: string 999"),
    (lambda m: m.update(drop_frames=999), "drop frames: string 999"),
    (lambda m: m.update(sample_type=[]), "has samples, but does not say of which type"),
    (lambda m: m.update(string_table=[]), "has no table of strings"),
    (lambda m: m["string_table"].insert(0, b"x"), "string 1 must be empty")])
def test_a_reference_that_leads_nowhere_is_named(damage: Change, words: str) -> None:
    assert words in spoilt(damage) and words in spoilt(damage, strict=True)


def reordered(message: Raw) -> None:
    message["location"].reverse()


@pytest.mark.parametrize("damage, words", [
    (reordered, "location 1: has the id 3; ids are 1, 2, 3 and so on"),
    (lambda m: (m["mapping"][0].update(id=5),
                [location.update(mapping_id=5) for location in m["location"]]),
     "mapping 1: has the id 5"),
    (lambda m: m["sample"][0]["label"][0].update(key=0), "sample 1: label 1: has no key"),
    (lambda m: m["string_table"].append(b"\xff"), "byte 0 is not UTF-8")])
def test_the_strict_check_refuses_what_pprof_lets_pass(damage: Change, words: str) -> None:
    assert words in spoilt(damage, strict=True)
    message = raw(full())
    damage(message)
    assert pprof.load(pprof._encode("profile", message)).samples


def test_ids_with_gaps_are_numbered_anew() -> None:
    message = raw(full())
    reordered(message)
    read = pprof.load(pprof._encode("profile", message))
    assert [location.id for location in read.locations] == [1, 2, 3]
    stacks = [[name for number in sample.locations for name in read.names(number)]
              for sample in read.samples]
    assert stacks == [["inner", "outer", "main"], ["main"]]


def test_files_that_are_no_profiles(tmp_path: Path) -> None:
    data = pprof.dump(full())
    assert "is empty" in refused(b"")
    assert "is cut off" in refused(data[:-1]) and "is cut off" in refused(data[:12])
    assert "is damaged" in refused(b"\x1f\x8b" + b"x" * 50)
    assert "is damaged" in refused(data[:-6] + b"\0" * 6)
    assert "something else follows" in refused(data + b"more")
    assert "is text" in refused(b"heap profile: 1: 16 [2: 32] @ heap/2\n")
    assert "is no pprof profile" in refused(b"\x7fELF" * 9)
    assert "has no table of strings" in refused(b"\x60\x01")
    for name, words in (("missing.pb.gz", "No such file"), (".", "Is a directory")):
        with pytest.raises(GraderError, match=words) as caught:
            pprof.read(tmp_path / name)
        assert str(tmp_path) in str(caught.value)


def test_two_profiles_in_one_file() -> None:
    plain = pprof.dump(full(), compress=False)
    for data in (plain + plain, gzip.compress(plain) * 2):
        assert "holds two profiles" in refused(data)


def test_what_is_unknown_is_left_out() -> None:
    data = pprof.dump(full(), compress=False)
    more = data + b"\xf8\x07\x05" + b"\xf9\x07" + b"12345678" + b"\xfd\x07" + b"1234"
    assert pprof.load(more) == full()
    assert pprof.load(gzip.compress(data) + b"\0" * 9) == full()


def bomb(unpacked: int) -> bytes:
    squeezer = zlib.compressobj(9, wbits=31)
    block = b"\0" * (1 << 20)
    return b"".join([squeezer.compress(block) for _ in range(unpacked >> 20)] + [squeezer.flush()])


def test_small_files_cannot_fill_the_memory() -> None:
    assert "more than 64 MB unpacked" in refused(bomb(80 << 20))
    assert "more than 64 MB unpacked" in refused(gzip.compress(bomb(80 << 20))[:9]
                                                 + bomb(80 << 20)[9:])
    empty_messages = gzip.compress(b"\x0a\x00" * (3 << 20))
    assert "more entries than any real profile" in refused(empty_messages)
    members = gzip.compress(b"") * 100
    assert "something else follows" in refused(members)
    huge = b"\x0a\xff\xff\xff\xff\x7f"
    assert "is cut off" in refused(huge)


@given(st.binary(max_size=300))
@settings(max_examples=400, deadline=None)
def test_no_bytes_are_a_traceback(data: bytes) -> None:
    for content in (data, gzip.compress(data), b"\x1f\x8b\x08" + data):
        try:
            pprof.load(content, strict=True)
        except GraderError as error:
            assert "\n" not in str(error)


@given(st.data())
@settings(max_examples=400, deadline=None)
def test_a_damaged_profile_is_read_or_refused(data: st.DataObject) -> None:
    content = bytearray(pprof.dump(data.draw(st.sampled_from([full(), profile({"a;b": 3})])),
                                   compress=False))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    del content[data.draw(st.integers(len(content) // 2, len(content))):]
    try:
        read = pprof.load(bytes(content))
    except GraderError as error:
        assert "\n" not in str(error)
    else:
        assert pprof.load(pprof.dump(read)) == read


@given(st.lists(SIGNED, max_size=20))
def test_packed_and_single_numbers_are_the_same(numbers: List[int]) -> None:
    packed = pprof._encode("sample", {"value": numbers})
    single = b"".join(b"\x10" + varint(number) for number in numbers)
    assert decoded(packed) == decoded(single) == numbers


def decoded(data: bytes) -> List[int]:
    values: List[int] = pprof._decode("sample", data, pprof._Budget(), "")["value"]
    return values
