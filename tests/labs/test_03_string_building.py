"""Lab 03's judge against a second opinion: its outputs, computed once more in Python."""
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

FOLDER = ROOT / "labs" / "03_string_building"
FIELDS = 10
SIZES = [0, 1, 2, 7, 61, 255, 1023]


def run(*arguments: object) -> None:
    subprocess.run(["gcc", "-O2", *map(str, arguments)], check=True)


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The judge of lab 03: it makes inputs and knows the right outputs."""
    folder = tmp_path_factory.mktemp("judge")
    run("-DPERFLAB_IMPL", "-DPERFLAB_NO_INTERPOSE", "-x", "c", "-c", ROOT / "perflab.h",
        "-o", folder / "perflab.o")
    run(*includes(FOLDER), ROOT / "graders" / "judge.c", ROOT / "graders" / "buffer.c",
        FOLDER / "workload.c", FOLDER / "slow.c", folder / "perflab.o",
        "-o", folder / "judge", "-pthread", "-lm")
    return folder / "judge"


def make(judge: Path, seed: int, n: int) -> Tuple[bytes, bytes]:
    """The input for a seed and a size, and the output that the judge calls right."""
    done = subprocess.run([str(judge)], input=f"make {seed} {n}\n".encode(), check=True,
                          stdout=subprocess.PIPE)
    input_size, output_size = struct.unpack_from("<QQ", done.stdout)
    assert len(done.stdout) == 16 + input_size + output_size
    return done.stdout[16:16 + input_size], done.stdout[16 + input_size:]


def records(data: bytes) -> List[List[bytes]]:
    """The records of an input."""
    count, = struct.unpack_from("<Q", data)
    fields = data[8:].split(b"\0")[:-1]
    assert len(fields) == count * FIELDS
    return [fields[i:i + FIELDS] for i in range(0, len(fields), FIELDS)]


@pytest.mark.parametrize("n", SIZES)
def test_the_oracle_joins_fields_as_lab_h_says(judge: Path, n: int) -> None:
    data, output = make(judge, 7, n)
    rows = records(data)
    assert len(rows) == n
    assert output == b"".join(b"\t".join(row) + b"\n" for row in rows)


def test_seeds_decide_the_input_and_nothing_else_does(judge: Path) -> None:
    assert make(judge, 1, 61) == make(judge, 1, 61)
    assert make(judge, 1, 61) != make(judge, 2, 61)


def test_inputs_have_the_fields_that_break_wrong_code(judge: Path) -> None:
    fields = [field for row in records(make(judge, 3, 1023)[0]) for field in row]
    lengths = {len(field) for field in fields}
    assert {0, 1, 63, 64, 65, 255, 256, 1023} <= lengths
    assert any(b"%" in field for field in fields)
    assert any(max(field, default=0) > 127 for field in fields)
    assert not any(byte in field for field in fields for byte in (b"\t", b"\n"))
    assert 0.02 < sum(not field for field in fields) / len(fields) < 0.4


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_the_profile_of_slow_shows_the_hot_function(compiler: str) -> None:
    done = subprocess.run([sys.executable, "-m", "graders", "profile", "--cc", compiler, "03"],
                          cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, timeout=120)
    words, share = (question for question in labs.read(FOLDER).questions
                    if question.name.startswith("hot_"))
    found = [line.split() for line in done.stdout.splitlines()
             if line.split()[-1:] == [words.words[0]]]
    assert len(found) == 1 and share.low is not None, done.stdout
    assert float(found[0][4].rstrip("%")) >= share.low, done.stdout


def test_benchmarks_show_the_sizes_that_the_questions_ask_about() -> None:
    lab = labs.read(FOLDER)
    sizes = re.search(r"sizes\[\] = \{([^}]*)\}", (FOLDER / "workload.c").read_text())
    assert sizes and [int(size) for size in sizes[1].split(",")] == [lab.n // 4, lab.n // 2, lab.n]
    how = " ".join(question.how for question in lab.questions)
    assert all(size in sizes[1] for size in re.findall(r"\b\d{3,}\b", how))
