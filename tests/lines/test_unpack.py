"""Decompression, against the library that most compressed debug information is made with."""
from __future__ import annotations

import random
import subprocess
import zlib
from pathlib import Path
from typing import List, Optional

import pytest
from reading import HERE, ROOT, Workshop, run

STRATEGIES = [zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE,
              zlib.Z_FIXED]


def samples() -> List[bytes]:
    """All lengths and distances of repetitions up to the limits; and bytes whose numbers are those
    of Fibonacci, which give the longest codes there are."""
    noise = random.Random(1).randbytes(70000)
    lengths = b"".join(noise[:n] + bytes([n & 255, n >> 8]) for n in range(300))
    distances = b"".join(noise[:32768] + noise[32768 - far:32768 - far + 9]
                         for far in (9, 10, 257, 4096, 32767, 32768))
    numbers = [1, 1]
    while len(numbers) < 22:
        numbers.append(numbers[-1] + numbers[-2])
    skewed = bytearray(b"".join(bytes([i]) * count for i, count in enumerate(numbers)))
    random.Random(2).shuffle(skewed)
    return [b"", b"a", bytes(1 << 18), noise, lengths, distances, bytes(skewed)]


@pytest.fixture(scope="module", name="unpack")
def fixture_unpack(workshop: Workshop) -> str:
    path = str(workshop.folder / "unpack")
    run(["gcc", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
         f"-I{ROOT}", str(HERE / "unpack.c"), "-o", path, "-pthread", "-ldl"])
    return path


def unpacked(unpack: str, packed: bytes, size: int) -> Optional[bytes]:
    """None when it is refused."""
    done = subprocess.run([unpack, str(size)], input=packed, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=60, check=False)
    assert done.returncode in (0, 3), done.stderr[-3000:]
    return done.stdout if done.returncode == 0 else None


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("level", [0, 1, 9])
@pytest.mark.parametrize("number", range(7))
def test_unpack(unpack: str, number: int, level: int, strategy: int) -> None:
    data = samples()[number]
    packer = zlib.compressobj(level, zlib.DEFLATED, 15, 9, strategy)
    assert unpacked(unpack, packer.compress(data) + packer.flush(), len(data)) == data


def test_several_blocks(unpack: str) -> None:
    """Blocks of all kinds, one after the other."""
    packer = zlib.compressobj(9)
    text = (ROOT / "perflab.h").read_bytes()[:60000]
    parts = [text[:20000], random.Random(3).randbytes(30000), text[20000:]]
    packed = b"".join(packer.compress(part) + packer.flush(zlib.Z_FULL_FLUSH) for part in parts)
    assert unpacked(unpack, packed + packer.flush(), 90000) == b"".join(parts)


@pytest.mark.parametrize("more", [-1, 1])
def test_of_another_size(unpack: str, more: int) -> None:
    packed = zlib.compress(b"some text, some text" * 20)
    assert unpacked(unpack, packed, 400 + more) is None


def test_damaged(unpack: str) -> None:
    """Whatever byte is wrong, or missing: it is refused, or gives the right bytes."""
    data = (ROOT / "LICENSE").read_bytes()[:700]
    packed = zlib.compress(data, 9)
    for at in range(0, len(packed), 3):
        wrong = packed[:at] + bytes([packed[at] ^ 0x55]) + packed[at + 1:]
        assert unpacked(unpack, wrong, len(data)) in (None, data)
        assert unpacked(unpack, packed[:at], len(data)) is None
