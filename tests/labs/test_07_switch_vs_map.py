"""Lab 07's judge against a second opinion, and what its questions rest on."""
from __future__ import annotations

import re
import struct
import subprocess
import sys
from pathlib import Path
from typing import List, Tuple

import pytest

from labfiles import ROOT, includes
from graders import lab as labs

FOLDER = ROOT / "labs" / "07_switch_vs_map"
KNOWN = [b"accept", b"cookie", b"user-agent", b"content-type", b"content-length"]
SIZES = [0, 1, 2, 100, 1023, 20001]
READABLE = 20000


def run(*arguments: object) -> None:
    subprocess.run(["gcc", "-O2", *map(str, arguments)], check=True)


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The judge of lab 07: it makes inputs and knows the right outputs."""
    folder = tmp_path_factory.mktemp("judge")
    run("-DPERFLAB_IMPL", "-DPERFLAB_NO_INTERPOSE", "-x", "c", "-c", ROOT / "perflab.h",
        "-o", folder / "perflab.o")
    run(*includes(FOLDER), ROOT / "graders" / "judge.c", ROOT / "graders" / "buffer.c",
        FOLDER / "workload.c", FOLDER / "slow.c", folder / "perflab.o",
        "-o", folder / "judge", "-pthread", "-lm")
    return folder / "judge"


def make(judge: Path, seed: int, n: int) -> Tuple[List[bytes], bytes]:
    """The names for a seed and a size, and the output that the judge calls right."""
    done = subprocess.run([str(judge)], input=f"make {seed} {n}\n".encode(), check=True,
                          stdout=subprocess.PIPE)
    size, expected = struct.unpack_from("<QQ", done.stdout)
    data, output = done.stdout[16:16 + size], done.stdout[16 + size:]
    assert len(output) == expected
    names, at = [], 8
    while at < len(data):
        length, = struct.unpack_from("<H", data, at)
        names.append(data[at + 2:at + 2 + length])
        at += 2 + length
    return names, output


@pytest.mark.parametrize("n", SIZES)
def test_the_oracle_knows_the_five_names_and_no_others(judge: Path, n: int) -> None:
    names, output = make(judge, 7, n)
    assert len(names) == n
    if n > READABLE:
        assert output == bytes(KNOWN.index(name) if name in KNOWN else 5 for name in names)
    else:
        assert output == b"".join(
            name[:16] + b" is " + (name if name in KNOWN else b"other") + b"\n" for name in names)


def test_seeds_decide_the_input_and_nothing_else_does(judge: Path) -> None:
    assert make(judge, 1, 61) == make(judge, 1, 61)
    assert make(judge, 1, 61) != make(judge, 2, 61)


def test_inputs_have_the_names_that_break_wrong_code(judge: Path) -> None:
    names = make(judge, 3, 200000)[0]
    unknown = [name for name in names if name not in KNOWN]
    assert 0.3 < len(unknown) / len(names) < 0.7
    for known in KNOWN:
        assert any(name and name[0] == known[0] and len(name) == len(known) for name in unknown)
        assert any(known.startswith(name) or name.startswith(known) for name in unknown if name)
        assert known.upper() in unknown or known.title() in unknown
        assert any(name.rstrip(b"\0") == known for name in unknown)
        assert any(len(name) % 256 == len(known) and name.startswith(known) for name in unknown)
    assert b"" in unknown and max(map(len, unknown)) > 1000


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_the_profile_of_slow_shows_the_hot_function(compiler: str) -> None:
    done = subprocess.run([sys.executable, "-m", "graders", "profile", "--cc", compiler, "07"],
                          cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, timeout=120)
    words, share = (question for question in labs.read(FOLDER).questions
                    if question.name.startswith("hot_"))
    rows = [line.split() for line in done.stdout.splitlines() if re.match(r"^ +[\d.]+m?s? ", line)]
    hottest = max(rows, key=lambda row: float(row[1].rstrip("%")))
    assert hottest[5] == words.words[0] and share.low is not None, done.stdout
    assert share.low <= float(hottest[1].rstrip("%")), done.stdout


def test_the_curve_crosses_within_the_accepted_answers() -> None:
    done = subprocess.run([sys.executable, "-m", "graders", "bench", "07"], cwd=ROOT, text=True,
                          stdout=subprocess.PIPE, check=True, timeout=120)
    lines = re.findall(r"^BenchmarkLookup/words=(\d+)/(compare|map)\S*\s+\d+\s+([\d.]+) ns/op",
                       done.stdout, re.M)
    times = {(int(words), way): float(time) for words, way, time in lines}
    crossed = [words for words, way in times
               if way == "map" and times[words, "map"] < times[words, "compare"]]
    question = next(one for one in labs.read(FOLDER).questions if one.name == "crossing")
    assert question.low is not None and question.high is not None
    assert question.low <= min(crossed) <= question.high, done.stdout
    assert "1.000 hashes/name" in done.stdout
