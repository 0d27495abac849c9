"""Protobuf's wire format: numbers and fields of a message, to read and to write.

A reader here is never trusted with a size: what does not fit is Malformed.
"""
from __future__ import annotations

from typing import Iterator, Tuple, Union

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
WIDTHS = {FIXED64: 8, FIXED32: 4}
WRAP = 1 << 64
SIGN = 1 << 63

Content = Union[int, bytes]


class Malformed(Exception):
    """The bytes are no message: a number that never ends, or a field that is cut off."""


def number_at(data: bytes, at: int, stop: int) -> Tuple[int, int]:
    """The number at ``at``, and where the next thing begins."""
    value = shift = 0
    while at < stop and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (WRAP - 1), at
        shift += 7
    raise Malformed(f"a number is {'too long' if shift >= 70 else 'cut off'} at byte {at}")


def fields(data: bytes, at: int, stop: int) -> Iterator[Tuple[int, Content]]:
    """Number and content of each field: an int, or the bytes of text, messages and fixed sizes.

    Written for speed: most numbers are of one byte.
    """
    while at < stop:
        key = data[at]
        at += 1
        if key >= 0x80:
            key, at = number_at(data, at - 1, stop)
        wire = key & 7
        if wire == VARINT:
            value = data[at] if at < stop else 0x80
            if value < 0x80:
                at += 1
            else:
                value, at = number_at(data, at, stop)
            yield key >> 3, value
            continue
        if wire == BYTES:
            size = data[at] if at < stop else 0x80
            if size < 0x80:
                at += 1
            else:
                size, at = number_at(data, at, stop)
        elif wire in WIDTHS:
            size = WIDTHS[wire]
        else:
            raise Malformed(f"wire type {wire} at byte {at}")
        if size > stop - at:
            raise Malformed(f"{size} bytes at byte {at}, where {stop - at} are left")
        yield key >> 3, data[at:at + size]
        at += size


def signed(value: int) -> int:
    return value - WRAP if value >= SIGN else value


def varint(value: int) -> bytes:
    """A number as a varint; a negative one as its two's complement."""
    if 0 <= value < 0x80:
        return bytes((value,))
    value &= WRAP - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def put_number(field: int, value: int) -> bytes:
    return varint(field << 3 | VARINT) + varint(value)


def put_bytes(field: int, content: bytes) -> bytes:
    return varint(field << 3 | BYTES) + varint(len(content)) + content


def put_text(field: int, text: str) -> bytes:
    return put_bytes(field, text.encode("utf-8", "replace"))


def put_fixed64(field: int, content: bytes) -> bytes:
    """Eight bytes, low ones first: a fixed64 or a double."""
    return varint(field << 3 | FIXED64) + content
