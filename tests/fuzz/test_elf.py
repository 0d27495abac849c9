"""The reader of ELF files on what the fuzzer found worth keeping."""
from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import List, Sequence

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
import cut  # noqa: E402  (the path has to be set first)

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="module", name="inputs")
def fixture_inputs(tmp_path_factory: pytest.TempPathFactory) -> List[Path]:
    """The kept inputs, which the repository has as text."""
    folder = tmp_path_factory.mktemp("inputs")
    for source in sorted((HERE / "elf").glob("*.hex")):
        (folder / source.stem).write_bytes(bytes.fromhex(source.read_text()))
    return sorted(folder.iterdir())


@pytest.fixture(scope="module", name="reader")
def fixture_reader(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The fuzz target as a program that reads the files it is given."""
    path = tmp_path_factory.mktemp("fuzz") / "elf"
    subprocess.run(["gcc", "-g", "-O1", "-DREPLAY", "-fsanitize=address,undefined",
                    "-fno-sanitize-recover=all", *cut.flags("symbol"), str(HERE / "elf.c"), "-o",
                    str(path), "-pthread", "-ldl"], check=True)
    return str(path)


def read_all(reader: str, files: Sequence[Path]) -> None:
    """Has the program read files; a sanitizer's word or a crash fails the test."""
    done = subprocess.run([reader, *map(str, files)], stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.PIPE, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == f"{len(files)} inputs\n"


def test_inputs(reader: str, inputs: List[Path]) -> None:
    """Whole files, and what the fuzzer made of them."""
    assert len(inputs) > 50
    read_all(reader, inputs)


@pytest.mark.parametrize("word", [b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f"])
@pytest.mark.parametrize("name", ["shared.so", "sysv-hash.so", "linked.so"])
def test_every_word(reader: str, inputs: List[Path], tmp_path: Path, name: str,
                    word: bytes) -> None:
    """A file with one wrong number, anywhere."""
    whole = next(path for path in inputs if path.name == name).read_bytes()
    wrong: List[Path] = []
    for at in range(0, len(whole) - 4, 4):
        wrong.append(tmp_path / str(at))
        wrong[-1].write_bytes(whole[:at] + word + whole[at + 4:])
    read_all(reader, wrong)


def test_every_cut(reader: str, inputs: List[Path], tmp_path: Path) -> None:
    """A file that ends anywhere."""
    whole = next(path for path in inputs if path.name == "shared.so").read_bytes()
    cuts: List[Path] = []
    for size in range(1, len(whole), 37):
        cuts.append(tmp_path / str(size))
        cuts[-1].write_bytes(whole[:size])
    read_all(reader, cuts)
