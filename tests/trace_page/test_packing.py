"""What travels in the page: every number arrives, whatever its size."""
from __future__ import annotations

import base64
import json
import random
import zlib
from array import array

import made
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graders import trace_page
from graders.timeline import Timeline


def unpacked(data):
    """The header and the columns, read by the rules at the top of page/unpack.js."""
    whole = zlib.decompress(base64.b64decode(data.text))
    assert len(whole) == data.size
    at = 4 + int.from_bytes(whole[:4], "little")
    header, tables = json.loads(whole[4:at]), {}
    for table in header["tables"]:
        tables[table["name"]] = columns = {}
        for column in table["columns"]:
            count, width = table["count"], column["width"]
            planes = [whole[at + i * count:at + (i + 1) * count] for i in range(width)]
            cells = [bytes(cell) for cell in zip(*planes)]
            at += width * count
            columns[column["name"]] = values(cells, column)
    assert at == len(whole)
    return header, tables


def values(cells, column):
    if column.get("real"):
        return [array("d", cell)[0] for cell in cells]
    numbers = [int.from_bytes(cell, "little") for cell in cells]
    if "first" in column:
        for i in range(1, len(numbers)):
            numbers[i] += 0 if i in column["first"] else numbers[i - 1]
    return numbers


def test_a_server_arrives():
    timeline = made.server()
    header, tables = unpacked(trace_page.packed(timeline, "t"))
    for name in ("start", "duration", "name", "kind", "depth", "detail"):
        assert tables["slices"][name] == [value for thread in timeline.threads
                                          for value in getattr(thread.slices, name)]
    assert tables["points"]["time"] == [time for thread in timeline.threads
                                        for time in thread.points.time]
    assert tables["values"]["value"] == [value for counter in timeline.counters
                                         for value in counter.value]
    assert header["strings"][:len(timeline.strings)] == timeline.strings
    assert [thread["label"] for thread in header["threads"]] == \
        [thread.label for thread in timeline.threads]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(st.integers(0, 2 ** 63), max_size=6), max_size=5))
def test_any_numbers_arrive(tracks):
    columns = trace_page.Columns()
    flat = [value for track in tracks for value in track]
    columns.table("t", len(flat))
    columns.numbers("plain", *tracks)
    columns.rising("rising", *map(sorted, tracks))
    columns.reals("real", [float(value) for value in flat])
    header = json.dumps({"tables": columns.tables}).encode()
    whole = len(header).to_bytes(4, "little") + header + b"".join(columns.parts)
    data = trace_page.Packed(base64.b64encode(zlib.compress(whole)).decode(), len(whole))
    _, tables = unpacked(data)
    assert tables["t"]["plain"] == flat
    assert tables["t"]["rising"] == [value for track in tracks for value in sorted(track)]
    assert tables["t"]["real"] == [float(value) for value in flat]


@pytest.mark.parametrize("value, width", [(255, 1), (256, 2), (65536, 4), (2 ** 32, 8)])
def test_a_column_is_as_narrow_as_its_numbers(value, width):
    columns = trace_page.Columns()
    columns.table("t", 3)
    columns.numbers("n", [0, value, 1])
    assert sum(map(len, columns.parts)) == 3 * width


def test_a_process_that_the_trace_does_not_name_is_shown_too():
    timeline = Timeline()
    maker = made.Maker(1000)
    maker.thread("stray", pid=77)
    timeline = maker.timeline
    header, _ = unpacked(trace_page.packed(timeline, "t"))
    assert header["processes"][header["threads"][0]["process"]]["pid"] == 77


def test_large_integers_keep_their_digits():
    maker = made.Maker(1000)
    maker.slice(maker.thread("main").slices, 0, 5, "x", detail=maker.detail(number=2 ** 60 + 1))
    header, _ = unpacked(trace_page.packed(maker.timeline, "t"))
    key, value = header["details"][-1]
    assert header["strings"][key] == "number"
    assert header["strings"][value[0]] == str(2 ** 60 + 1)


INFLATE = """(() => {
    const bytes = inflate(fromBase64(%s), %d);
    let sum = 0;
    for (const byte of bytes) sum = (Math.imul(sum, 31) + byte) | 0;
    return sum;
})()"""


def checksum(data):
    total = 0
    for byte in data:
        total = (total * 31 + byte) & 0xFFFFFFFF
    return total - (1 << 32) if total >> 31 else total


@pytest.mark.parametrize("level, strategy", [
    (0, zlib.Z_DEFAULT_STRATEGY), (1, zlib.Z_DEFAULT_STRATEGY), (9, zlib.Z_DEFAULT_STRATEGY),
    (6, zlib.Z_FIXED), (6, zlib.Z_HUFFMAN_ONLY), (6, zlib.Z_RLE)])
def test_the_fallback_reads_every_kind_of_block(browser, server_page, level, strategy):
    browser.open(server_page)
    draw = random.Random(level * 10 + strategy)
    words = [bytes(draw.randrange(256) for _ in range(draw.randrange(1, 9))) for _ in range(60)]
    for size in (0, 1, 300, 70_000):
        data = b"".join(draw.choice(words) for _ in range(size))[:size] + b"\0" * (size % 1000)
        packer = zlib.compressobj(level, zlib.DEFLATED, 15, 8, strategy)
        packed = base64.b64encode(packer.compress(data) + packer.flush()).decode()
        assert browser.run(INFLATE % (json.dumps(packed), len(data))) == checksum(data)
