"""The readers of debug information on what the fuzzer found worth keeping."""
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
WHOLE = ["gcc2", "gcc4", "gcc5", "gcc64", "gxx5", "clang4", "clang5", "clangxx5", "gz"]


@pytest.fixture(scope="module", name="inputs")
def fixture_inputs(tmp_path_factory: pytest.TempPathFactory) -> List[Path]:
    """The kept inputs, which the repository has as text."""
    folder = tmp_path_factory.mktemp("inputs")
    for source in sorted((HERE / "dwarf").glob("*.hex")):
        (folder / source.stem).write_bytes(bytes.fromhex(source.read_text()))
    return sorted(folder.iterdir())


@pytest.fixture(scope="module", name="reader")
def fixture_reader(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The fuzz target as a program that reads the files it is given."""
    path = tmp_path_factory.mktemp("fuzz") / "dwarf"
    subprocess.run(["gcc", "-g", "-O1", "-DREPLAY", "-fsanitize=address,undefined",
                    "-fno-sanitize-recover=all", *cut.flags("frame"), str(HERE / "dwarf.c"), "-o",
                    str(path), "-pthread", "-ldl"], check=True)
    return str(path)


def read_all(reader: str, files: Sequence[Path]) -> str:
    """Has the program read files; a sanitizer's word, a crash or no end fails the test. Returns
    what it says in the end."""
    done = subprocess.run([reader, *map(str, files)], stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.PIPE, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.startswith(f"{len(files)} inputs, ")
    return done.stdout


def test_inputs(reader: str, inputs: List[Path]) -> None:
    """Whole files, and what the fuzzer made of them."""
    assert len(inputs) > 40
    read_all(reader, inputs)


@pytest.mark.parametrize("name", [*WHOLE, "split"])
def test_whole_files_have_lines(reader: str, inputs: List[Path], name: str) -> None:
    """Or the other tests would test nothing; what is in another file is not guessed."""
    whole = next(path for path in inputs if path.name == name)
    said = "no lines" if name == "split" else "lines found"
    assert read_all(reader, [whole]) == f"1 inputs, {said}\n"


@pytest.mark.parametrize("word", [b"\xff\xff", b"\x80\x80", b"\x00\x00"])
@pytest.mark.parametrize("name", WHOLE)
def test_every_word(reader: str, inputs: List[Path], tmp_path: Path, name: str,
                    word: bytes) -> None:
    """A file with one wrong number, anywhere."""
    whole = next(path for path in inputs if path.name == name).read_bytes()
    wrong: List[Path] = []
    for at in range(64, len(whole) - 2, 3):
        wrong.append(tmp_path / str(at))
        wrong[-1].write_bytes(whole[:at] + word + whole[at + 2:])
    read_all(reader, wrong)
