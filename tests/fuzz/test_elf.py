"""The reader of ELF files on what the fuzzer found worth keeping."""
from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
INPUTS = sorted(str(path) for path in (HERE / "elf").iterdir())


@pytest.fixture(scope="module", name="reader")
def fixture_reader(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The fuzz target as a program that reads the files it is given."""
    path = tmp_path_factory.mktemp("fuzz") / "elf"
    subprocess.run(["gcc", "-g", "-O1", "-DREPLAY", "-fsanitize=address,undefined",
                    "-fno-sanitize-recover=all", f"-I{ROOT}", str(HERE / "elf.c"), "-o", str(path),
                    "-pthread", "-ldl"], check=True)
    return str(path)


def test_inputs(reader: str) -> None:
    """No input makes it read outside, and all are read."""
    done = subprocess.run([reader, *INPUTS], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == f"{len(INPUTS)} inputs\n"


def test_every_cut(reader: str, tmp_path: Path) -> None:
    """A file that ends anywhere."""
    whole = (HERE / "elf" / "shared.so").read_bytes()
    cuts = []
    for size in range(1, len(whole), 37):
        cuts.append(tmp_path / str(size))
        cuts[-1].write_bytes(whole[:size])
    done = subprocess.run([reader, *map(str, cuts)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
