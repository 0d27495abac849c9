"""A program is killed at any moment: what its ring file has is whole, and nothing is missing."""
from __future__ import annotations

import os
import random
import struct
import subprocess
import time
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Tuple

import pytest

from conftest import FLAGS, HERE, LIBRARIES, ROOT

THREADS = 3
KILLS = 300
THREAD, THREAD_END, BEGIN, END, COUNTER, LOG, LOST, TEXT = 1, 2, 3, 4, 6, 7, 19, 20
HEAD, RECORD, NOTE = 64, 16, 64


class Record(NamedTuple):
    """One of a thread's."""
    kind: int
    name: str
    payload: bytes
    flags: int


class Ring:
    """A ring file, read by its description; anything odd is an error."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        assert data[:16] == b"perflab ring 1\n\0"
        base, size = struct.unpack_from("=QQ", data, 16)
        assert size == len(data) and base % 4096 == 0
        self.names_at, self.slots, self.texts_at = struct.unpack_from("=QQQ", data, 32)
        self.chunks_at, self.chunk_bytes, self.chunks = struct.unpack_from("=QII", data, 112)
        self.lost, = struct.unpack_from("=Q", data, 208)

    def name(self, number: int) -> str:
        """Of a literal."""
        assert 0 < number < self.slots
        key, text, size = struct.unpack_from("=QII", self.data, self.names_at + 16 * number)
        assert key and size, "a record has a name that is not complete"
        return self.data[self.texts_at + text:self.texts_at + text + size].decode()

    def chunk(self, at: int) -> Iterator[Tuple[int, Record]]:
        """(thread, record) of one chunk; each THREAD begins a thread's, and has the serial of that
        thread's chunk before as its name."""
        used, = struct.unpack_from("=I", self.data, at + 8)
        place, end, who = at + HEAD, at + HEAD + used, 0
        assert used % RECORD == 0 and used <= self.chunk_bytes - HEAD
        while place < end:
            _, name, size, kind, flags = struct.unpack_from("=QIHBB", self.data, place)
            payload = self.data[place + RECORD:place + RECORD + size]
            place += RECORD + (size + 15) // 16 * 16
            assert 1 <= kind <= TEXT and place <= end, "a record is torn"
            if kind == THREAD:
                who, = struct.unpack_from("=I", payload)
            assert who, "a chunk does not begin with its thread"
            named = kind in (BEGIN, COUNTER, LOG) and name
            text = self.name(name) if named else str(name)
            yield who, Record(kind, text, payload, flags)

    def threads(self) -> Dict[int, List[Record]]:
        """The records of each thread, in the order of its chunks, from the last gap on: a thread
        that is held up may keep a chunk that is older than one of its own which is gone."""
        places = [self.chunks_at + i * self.chunk_bytes for i in range(self.chunks)]
        serials = {at: struct.unpack_from("=Q", self.data, at)[0] for at in places}
        found: Dict[int, List[Record]] = {}
        for at in sorted((at for at in places if serials[at]), key=lambda at: serials[at]):
            for who, record in self.chunk(at):
                records = found.setdefault(who, [])
                if record.kind == THREAD and int(record.name) not in {0, *serials.values()}:
                    records.clear()
                records.append(record)
        return found


def rounds(records: List[Record]) -> List[int]:
    """The numbers of a thread's rounds; checks that what belongs to one agrees, and that no round
    is left out. The first may have lost its beginning, the last has not ended."""
    numbers: List[int] = []
    before = 0
    for record in records:
        if record.kind == BEGIN:
            assert record.name == "round" and before in (0, END)
        elif record.kind == COUNTER:
            number = int(struct.unpack("=d", record.payload)[0])
            assert record.name == "i" and before in (0, BEGIN)
            assert not numbers or number == numbers[-1] + 1, "records are missing"
            numbers.append(number)
        elif record.kind == LOG:
            number = int(record.payload.split(b" ")[0])
            letter = bytes([ord("a") + number % 26])
            assert record.name == "text" and before in (0, COUNTER)
            assert record.payload == b"%d " % number + letter * (number % 300)
            assert not numbers or number == numbers[-1]
        elif record.kind == END:
            assert before in (0, LOG)
        else:
            continue
        before = record.kind
    return numbers


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """endless.c, built."""
    folder = tmp_path_factory.mktemp("endless")
    subprocess.check_call(FLAGS[:1] + ["-O2", "-DPERFLAB_IMPL", "-x", "c", "-c",
                                       str(ROOT / "perflab.h"), "-o", str(folder / "perflab.o")])
    subprocess.check_call(FLAGS + [str(HERE / "endless.c"), str(folder / "perflab.o"),
                                   "-o", str(folder / "endless")] + LIBRARIES)
    return folder / "endless"


def kill_one(program: Path, folder: Path, size: int, wait: float) -> Tuple[bytes, List[int]]:
    """The ring of a program that was killed so many seconds after it began to record, and how far
    its threads had come by their own notes."""
    notes, trace = folder / "notes", folder / "t.pftrace"
    notes.write_bytes(bytes(NOTE * THREADS))
    process = subprocess.Popen([str(program), str(trace), str(size), str(notes), str(THREADS)])
    try:
        limit = time.monotonic() + 30
        while not notes.read_bytes()[:8].strip(b"\0") and time.monotonic() < limit:
            assert process.poll() is None, "it did not start"
            time.sleep(0.001)
        time.sleep(wait)
    finally:
        process.kill()
        process.wait()
    done = [number for number, in struct.iter_unpack("=Q56x", notes.read_bytes())]
    return Path(str(trace) + ".ring").read_bytes(), done


@pytest.mark.parametrize("size", [1 << 18, 1 << 20, 1 << 24])
def test_killed_at_any_moment(endless: Path, tmp_path: Path, size: int) -> None:
    """Nothing is torn, nothing in between is missing, and the last rounds are there."""
    chance = random.Random(size)
    longest = 0.03 if size < 1 << 24 else 0.004     # s; the large one takes long to read
    wrapped = 0
    for _ in range(KILLS // 3):
        data, done = kill_one(endless, tmp_path, size, chance.random() * longest)
        ring = Ring(data)
        last, fresh = [], 0     # threads of which only a chunk is left that they have just begun
        for records in ring.threads().values():
            numbers = rounds(records)
            last += numbers[-1:]
            fresh += not numbers
            wrapped += bool(numbers) and numbers[0] > 1
        gone = [number for number in done
                if number and not any(number <= at <= number + 1 for at in last)]
        assert ring.lost == 0
        assert len(gone) <= fresh, (done, last)
    assert wrapped > 10 or size > 1 << 20


def test_the_reader_sees_damage(endless: Path, tmp_path: Path) -> None:
    """The checks above can fail."""
    data, _ = kill_one(endless, tmp_path, 1 << 20, 0.01)
    ring = Ring(data)
    at = ring.chunks_at + HEAD + RECORD + 32     # the first record behind THREAD
    broken = bytearray(data)
    broken[at + 14] = 0
    with pytest.raises(AssertionError):
        Ring(bytes(broken)).threads()
    assert os.path.exists(tmp_path / "t.pftrace.ring")
