"""Lab 04's judge against a second opinion, and the day that it makes."""
from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

import pytest

import judging
from labfiles import ROOT
from graders import lab as labs

FOLDER = ROOT / "labs" / "04_pooling"
SIZES = [0, 1, 2, 7, 61, 500, 2000]
LINE = re.compile(rb"request (\d{7}): (\d\d) headers, user (\d{4}), sum ([0-9a-f]{8}), (.{12})\n")


@dataclass(frozen=True)
class Opened:
    """One request of an input."""
    number: int
    user: int
    headers: int
    buffers: Tuple[int, ...]


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return judging.build(FOLDER, tmp_path_factory.mktemp("judge"))


def events(data: bytes) -> Iterator[Tuple[int, object]]:
    """What happens on which slot: a request that opens, or None when it closes."""
    count, = struct.unpack_from("<Q", data)
    at, number = 32, 0
    for _ in range(count):
        kind, slot = struct.unpack_from("<cH", data, at)
        at += 3
        if kind == b"c":
            yield slot, None
            continue
        _, user, headers, buffers = struct.unpack_from("<BHHH", data, at)
        at += 7 + 3 * headers
        sizes = struct.unpack_from(f"<{buffers}I", data, at)
        at += 4 * buffers
        yield slot, Opened(number, user, headers, sizes)
        number += 1
    assert at == len(data)


def day(data: bytes) -> Tuple[List[Opened], int]:
    """The requests in the order in which they close, and how many were open at the most."""
    open_: Dict[int, Opened] = {}
    closed, most = [], 0
    for slot, event in events(data):
        if isinstance(event, Opened):
            assert slot not in open_
            open_[slot] = event
        else:
            closed.append(open_.pop(slot))
        most = max(most, len(open_))
    assert not open_, "in the end nothing is open"
    return closed, most


@pytest.mark.parametrize("n", SIZES)
def test_each_request_has_its_line_when_it_closes(judge: Path, n: int) -> None:
    data, output = judging.make(judge, 7, n)
    closed, _ = day(data)
    lines = LINE.findall(output)
    assert len(lines) == len(closed) == n
    assert b"".join(match[0] for match in re.finditer(LINE, output)) == output
    for request, (number, headers, user, _, state) in zip(closed, lines):
        assert (int(number), int(headers), int(user)) == (request.number, request.headers,
                                                          request.user)
        assert state == b"opened clean"


def test_seeds_decide_the_input_and_nothing_else_does(judge: Path) -> None:
    assert judging.make(judge, 1, 61) == judging.make(judge, 1, 61)
    assert judging.make(judge, 1, 61) != judging.make(judge, 2, 61)


def test_sums_tell_requests_apart(judge: Path) -> None:
    sums = [match[3] for match in LINE.findall(judging.make(judge, 3, 2000)[1])]
    assert len(set(sums)) > 0.99 * len(sums)


def test_a_day_has_what_breaks_wrong_code(judge: Path) -> None:
    closed, most = day(judging.make(judge, 5, 2000)[0])
    sizes = {size for request in closed for size in request.buffers}
    assert {0, 1, 7, 4095, 4096, 4097, 16384, 100000} <= sizes
    assert any(request.headers == 0 for request in closed)
    assert any(not request.buffers for request in closed)
    assert {request.user == 0 for request in closed} == {True, False}
    assert [request.number for request in closed] != sorted(request.number for request in closed)
    assert most == 128, "the burst is what is open at the most, for any seed"


def test_the_burst_needs_more_than_may_be_kept(judge: Path) -> None:
    lab = labs.read(FOLDER)
    idle, = (spec for spec in lab.evidence if spec.name == "idle")
    assert "SERVER_IDLE_BYTES = 1536 * 1024" in (FOLDER / "lab.h").read_text()
    assert idle.maximum == 1536 * 1024
    for seed in range(5):
        burst = sorted(day(judging.make(judge, seed, 2000)[0])[0],
                       key=lambda request: request.number)[936:936 + 128]
        assert sum(sum(request.buffers) for request in burst) > 1.1 * float(idle.maximum)


def test_benchmarks_show_the_sizes_that_the_questions_ask_about() -> None:
    lab = labs.read(FOLDER)
    sizes = re.search(r"uint64_t sizes\[\] = \{([^}]*)\}", (FOLDER / "workload.c").read_text())
    assert sizes and [int(size) for size in sizes[1].split(",")] == [lab.n // 4, lab.n]
    how = " ".join(question.how for question in lab.questions)
    assert all(size in sizes[1] for size in re.findall(r"\b\d{5,}\b", how))
