"""Lab 06's judge against a second opinion, and what its report and its questions rest on."""
from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import List, Optional, Tuple

import judging
import pytest

from labfiles import ROOT
from graders import lab as labs

FOLDER = ROOT / "labs" / "06_leaks"
WORD = rb"[^ ]{1,31}"
BOT = re.compile(rb"(bot-[^ ]{0,27})( .*)?", re.S)
GET = re.compile(WORD + rb" GET (" + WORD + rb")")
PUT = re.compile(WORD + rb" PUT (" + WORD + rb") (\d{1,9}) (.{1,160})", re.S)
MASK = 2 ** 64 - 1


def page(key: bytes) -> bytes:
    """render_page of workload.c, once more."""
    state = 14695981039346656037
    for byte in key:
        state = (state ^ byte) * 1099511628211 & MASK
    text = []
    for _ in range(60 + state % 139):
        state ^= state << 13 & MASK
        state ^= state >> 7
        state ^= state << 17 & MASK
        text.append(ord(" ") if state % 7 == 0 else ord("a") + state % 26)
    return bytes(text)


def reply(line: bytes) -> bytes:
    """What lab.h says of a request."""
    bot, get, put = BOT.fullmatch(line), GET.fullmatch(line), PUT.fullmatch(line)
    if bot:
        return b"403 " + bot[1]
    if get:
        return b"200 " + page(get[1])
    if put and sum(put[3]) == int(put[2]):
        return b"201 %s %d" % (put[1], len(put[3]))
    return b"400 " + put[1] if put else b"400"


def summary(replies: List[bytes]) -> bytes:
    counts = tuple(sum(one.startswith(status) for one in replies)
                   for status in (b"200", b"201", b"403", b"400"))
    return b"served=%d stored=%d blocked=%d bad=%d bytes=%d\n" % (*counts, sum(map(len, replies)))


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return judging.build(FOLDER, tmp_path_factory.mktemp("judge"))


def requests(judge: Path, seed: int, n: int) -> Tuple[List[bytes], bytes]:
    data, output = judging.make(judge, seed, n)
    return data.split(b"\n")[:-1], output


@pytest.mark.parametrize("n", [0, 1, 2, 7, 100, 1000, 10000])
def test_the_oracle_answers_as_lab_h_says(judge: Path, n: int) -> None:
    lines, output = requests(judge, 7, n)
    replies = [reply(line) for line in lines]
    assert len(lines) == n
    assert output == b"".join(one + b"\n" for one in replies) + summary(replies)


def test_seeds_decide_the_input_and_nothing_else_does(judge: Path) -> None:
    assert requests(judge, 1, 100) == requests(judge, 1, 100)
    assert requests(judge, 1, 100) != requests(judge, 2, 100)


def test_inputs_have_what_the_four_leaks_need(judge: Path) -> None:
    lines, _ = requests(judge, 3, 10000)
    bad = [line for line in lines if (put := PUT.fullmatch(line)) and sum(put[3]) != int(put[2])]
    blocked = sum(BOT.fullmatch(line) is not None for line in lines)
    keys = [get[1] for line in lines if (get := GET.fullmatch(line)) and not BOT.fullmatch(line)]
    assert len(bad) == 20 and 0.23 < blocked / len(lines) < 0.28
    assert len(set(keys)) > 1000                                        # no cache can hold them
    assert sum(key.startswith(b"page-") for key in keys) > 0.7 * len(keys)  # and a small one helps


def test_inputs_have_the_requests_that_break_wrong_code(judge: Path) -> None:
    lines, _ = requests(judge, 3, 10000)
    assert {b"", b" ", b"ann GET ", b"bot-3"} <= set(lines)
    uploads = [put[3] for line in lines for put in [PUT.fullmatch(line)] if put]
    assert {1, 2, 159, 160} <= {len(text) for text in uploads}
    assert any(max(text) > 127 for text in uploads)
    assert {len(get[1]) for line in lines for get in [GET.fullmatch(line)] if get} >= {7, 21, 31}


def profile(compiler: str, *more: str) -> str:
    """What make lab06-profile prints."""
    command = [sys.executable, "-m", "graders", "profile", "--cc", compiler, *more, "06"]
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True,
                          timeout=120).stdout


def first_frame(report: str, line: str) -> Optional[str]:
    found = re.search(rf"^  {line}.* at\n +(\S+)\n", report, re.M)
    return found[1] if found else None


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_the_report_on_slow_answers_the_questions(compiler: str) -> None:
    report = profile(compiler)
    questions = {question.name: question for question in labs.read(FOLDER).questions}
    made = [first_frame(report, line) for line in
            ("lost: ", "reachable: ", "descriptor ", "thread ")]
    assert tuple(made) == questions["sites"].words
    assert made[:1] == list(questions["lost"].words)
    counted = re.search(r"leaks: (\d+) bytes in \d+ blocks, (\d+) descriptors, 1 thread", report)
    assert counted, report
    per_request, full = questions["bytes_per_request"], questions["requests_until_full"]
    assert per_request.low and per_request.high and full.low and full.high
    assert per_request.low <= int(counted[1]) / 10000 <= per_request.high
    assert full.low <= 1024 / int(counted[2]) * 10000 <= full.high


def test_the_report_on_the_solution_is_empty() -> None:
    report = profile("gcc", "--submission", str(ROOT / "solutions" / FOLDER.name))
    assert "perflab: 0 leaks: 0 bytes in 0 blocks, 0 descriptors, 0 threads\n" in report
