"""The reader of unwind tables on what the fuzzer found worth keeping."""
from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path
from typing import List

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
import cut  # noqa: E402  (the path has to be set first)

HERE = Path(__file__).resolve().parent
NATIVE = ["gcc", "clang"] if platform.machine() == "x86_64" else ["a64"]
INPUTS = sorted(str(path) for path in (HERE / "frame").iterdir())


@pytest.fixture(scope="module", name="reader")
def fixture_reader(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The fuzz target as a program that reads the files it is given."""
    path = tmp_path_factory.mktemp("fuzz") / "frame"
    subprocess.run(["gcc", "-g", "-O1", "-DREPLAY", "-fsanitize=address,undefined",
                    "-fno-sanitize-recover=all", *cut.flags("frame"), str(HERE / "frame.c"), "-o",
                    str(path), "-pthread", "-ldl"], check=True)
    return str(path)


def read(reader: str, inputs: List[str]) -> "subprocess.CompletedProcess[str]":
    """Has it read them all."""
    return subprocess.run([reader, *inputs], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=120, check=False)


def test_inputs(reader: str) -> None:
    """No input makes it read outside of the tables."""
    done = read(reader, INPUTS)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == f"{len(INPUTS)} inputs, rows found\n"


@pytest.mark.parametrize("name", NATIVE)
def test_real_tables_have_rows(reader: str, name: str) -> None:
    """What compilers write is understood: otherwise the other tests would test nothing."""
    assert read(reader, [str(HERE / "frame" / name)]).stdout == "1 inputs, rows found\n"


@pytest.mark.parametrize("name", ["gcc", "clang", "a64"])
def test_every_cut(reader: str, name: str, tmp_path: Path) -> None:
    """A table that ends anywhere."""
    whole = (HERE / "frame" / name).read_bytes()
    cuts = []
    for size in range(9, len(whole)):
        cuts.append(tmp_path / str(size))
        cuts[-1].write_bytes(whole[:size])
    done = read(reader, [str(cut) for cut in cuts])
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("name", ["gcc", "clang", "a64"])
def test_every_bit(reader: str, name: str, tmp_path: Path) -> None:
    """A table with one bit that is wrong."""
    whole = bytearray((HERE / "frame" / name).read_bytes())
    files = []
    for bit in range(8 * len(whole)):
        whole[bit // 8] ^= 1 << bit % 8
        files.append(tmp_path / str(bit))
        files[-1].write_bytes(whole)
        whole[bit // 8] ^= 1 << bit % 8
    done = read(reader, [str(file) for file in files])
    assert done.returncode == 0, done.stderr[-3000:]
