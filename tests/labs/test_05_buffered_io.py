"""Lab 05's judge against a second opinion, and the faults that its inputs ask for."""
from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import List, Tuple

import pytest

import judging
from labfiles import ROOT
from graders import lab as labs

FOLDER = ROOT / "labs" / "05_buffered_io"
LIMIT = 1 << 20
PLAIN = [0, 1, 2, 7, 99, 1020]
HEADER = re.compile(rb"([^ \n]{1,31}) (\d{1,7})\n")


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return judging.build(FOLDER, tmp_path_factory.mktemp("judge"))


def messages(stream: bytes) -> Tuple[List[Tuple[bytes, bytes]], bool]:
    """The whole messages of a stream, and whether there was nothing else."""
    found: List[Tuple[bytes, bytes]] = []
    at = 0
    while at < len(stream):
        header = HEADER.match(stream, at)
        if not header or int(header[2]) > LIMIT or header.end() + int(header[2]) > len(stream):
            return found, False
        at = header.end() + int(header[2])
        found.append((header[1], stream[header.end():at]))
    return found, True


def lines(stream: bytes) -> bytes:
    return b"".join(host + b": " + text + b"\n" for host, text in messages(stream)[0])


def parts(judge: Path, seed: int, n: int) -> Tuple[int, bytes, List[bytes], bytes]:
    """Room of the output, the stream, the first lines of the right output, and what is written."""
    data, output = judging.make(judge, seed, n)
    _, room = struct.unpack_from("<QQ", data)
    head, _, written = output.partition(b"\nwritten:\n")
    return room, data[16:], head.split(b"\n"), written


@pytest.mark.parametrize("n", [*PLAIN, 101, 309])
def test_the_oracle_makes_a_line_of_each_message(judge: Path, n: int) -> None:
    _, stream, head, written = parts(judge, 7, n)
    assert messages(stream)[1] and len(messages(stream)[0]) == n
    assert head[1] == b"returned: %d" % n
    assert written == lines(stream)


@pytest.mark.parametrize("n, error", [(302, b"EFBIG"), (4003, b"EPIPE")])
def test_without_room_the_beginning_is_written_and_the_error_returned(
        judge: Path, n: int, error: bytes) -> None:
    room, stream, head, written = parts(judge, 7, n)
    assert head[1].startswith(b"returned: -1, " + error)
    assert written == lines(stream)[:room] and 0 < room < len(lines(stream))


@pytest.mark.parametrize("n", [304, 305, 306, 308])
def test_malformed_input_is_reported_after_all_whole_messages(judge: Path, n: int) -> None:
    _, stream, head, written = parts(judge, 7, n)
    assert not messages(stream)[1] and len(messages(stream)[0]) == n
    assert head[1].startswith(b"returned: -1, EPROTO")
    assert written == lines(stream)


def test_a_read_that_fails_is_reported(judge: Path) -> None:
    assert parts(judge, 7, 307)[2][1] == b"returned: -1, EINVAL"


def test_the_oracle_meets_every_fault() -> None:
    sizes = labs.read(FOLDER).oracle_sizes
    assert {n % 10 for n in sizes if 100 <= n <= 9999} == set(range(9)), "0: nothing"
    assert {0, 1, 1020} <= set(sizes)


def test_a_pipe_cannot_take_what_is_left_when_its_reader_leaves(judge: Path) -> None:
    for seed in range(5):
        room, stream, _, _ = parts(judge, seed, 4003)
        assert room > 0 and len(lines(stream)) - room > 2 * 65536


def test_seeds_decide_the_input_and_nothing_else_does(judge: Path) -> None:
    assert judging.make(judge, 1, 99) == judging.make(judge, 1, 99)
    assert judging.make(judge, 1, 99) != judging.make(judge, 2, 99)


def test_inputs_have_the_messages_that_break_wrong_code(judge: Path) -> None:
    for seed in range(3):
        found = messages(parts(judge, seed, 1020)[1])[0]
        assert {0, 1, 4095, 4096, 4097, 65535, 65536, 65537, LIMIT} <= {len(text) for _, text in
                                                                        found}
        assert {1, 31} <= {len(host) for host, _ in found}
        assert any(b"\n" in text for _, text in found) and any(b"\0" in text for _, text in found)


def test_the_timed_input_is_made_of_short_messages(judge: Path) -> None:
    n = labs.read(FOLDER).n
    stream = parts(judge, 1, n)[1]
    assert len(stream) < 100 * n


def test_benchmarks_show_the_sizes_that_the_questions_ask_about() -> None:
    lab = labs.read(FOLDER)
    sizes = re.search(r"uint64_t sizes\[\] = \{([^}]*)\}", (FOLDER / "workload.c").read_text())
    assert sizes and [int(size) for size in sizes[1].split(",")] == [lab.n // 4, lab.n]
    how = " ".join(question.how for question in lab.questions)
    assert all(size in sizes[1] for size in re.findall(r"\b\d{5,}\b", how))
