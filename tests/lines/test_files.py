"""Where debug information comes from: separate, compressed, missing, wrong, gone."""
from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Dict, Tuple

import pytest
from reading import UNKNOWN, Frames, Workshop, addresses, answers, ours, run, theirs

Built = Tuple[Path, Dict[str, Frames]]


@pytest.fixture(scope="module", name="whole")
def fixture_whole(workshop: Workshop) -> Built:
    """A program that has everything, and what it says of itself."""
    object_file = workshop.perflab()
    program = workshop.build("whole", ["gcc", "-O2", "-g", "-Wl,--build-id"], object_file)
    known = [address for address, frames in
             theirs(program, addresses(program, object_file)).items()
             if "/" in frames[-1][1] and frames[-1][0] != "??"]
    said = ours(program, known)
    assert len(said) > 50 and all(frames[-1][1] != UNKNOWN for frames in said.values())
    return program, said


def strip(program: Path, folder: Path, *flags: str) -> Path:
    """A stripped copy in the folder that refers to its debug file beside it."""
    copy, debug = folder / "program", folder / "program.debug"
    run(["objcopy", "--only-keep-debug", *flags, str(program), str(debug)])
    run(["objcopy", "--strip-all", f"--add-gnu-debuglink={debug}", str(program), str(copy)])
    return copy


@pytest.mark.parametrize("flags", [[], ["--compress-debug-sections=zlib"]])
@pytest.mark.parametrize("place", [".", ".debug"])
def test_separate(whole: Built, tmp_path: Path, place: str, flags: "list[str]") -> None:
    program, said = whole
    copy = strip(program, tmp_path, *flags)
    (tmp_path / place).mkdir(exist_ok=True)
    (tmp_path / "program.debug").rename(tmp_path / place / "program.debug")
    assert ours(copy, list(said)) == said


def test_debug_file_of_another_build(whole: Built, workshop: Workshop, tmp_path: Path) -> None:
    """It is not used, though its name is right."""
    program, said = whole
    copy = strip(program, tmp_path)
    other = workshop.build("other", ["gcc", "-O1", "-g", "-Wl,--build-id"], workshop.perflab())
    run(["objcopy", "--only-keep-debug", str(other), str(tmp_path / "program.debug")])
    assert {frames[-1][1] for frames in ours(copy, list(said)).values()} == {UNKNOWN}


def test_no_debug_file(whole: Built, tmp_path: Path) -> None:
    program, said = whole
    copy = strip(program, tmp_path)
    (tmp_path / "program.debug").unlink()
    assert {frames[-1][1] for frames in ours(copy, list(said)).values()} == {UNKNOWN}


def test_deleted_program(whole: Built, tmp_path: Path) -> None:
    """The running program's file is still there for itself."""
    program, said = whole
    copy = tmp_path / "program"
    shutil.copy(program, copy)
    with subprocess.Popen([str(copy)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as process:
        copy.unlink()
        text = process.communicate("\n".join(said) + "\n")[0]
    assert answers(text) == said


@pytest.mark.parametrize("section", [".debug_info", ".debug_abbrev", ".debug_line", ".debug_str"])
def test_without_a_section(whole: Built, tmp_path: Path, section: str) -> None:
    """Names of functions stay; lines are right, or there are none."""
    program, said = whole
    copy = tmp_path / "program"
    run(["objcopy", "-R", section, str(program), str(copy)])
    for address, frames in ours(copy, list(said)).items():
        assert frames[-1][0] == said[address][-1][0]
        assert frames[-1][1] in (UNKNOWN, said[address][-1][1])


def test_split(workshop: Workshop) -> None:
    """Debug information in files of its own (-gsplit-dwarf) is not read: names, but no lines."""
    object_file = workshop.perflab()
    program = workshop.build("split", ["gcc", "-O2", "-g", "-gsplit-dwarf"], object_file)
    said = ours(program, addresses(program, object_file))
    places = {frame[-1] for frames in said.values() for frame in frames if frame[0] == "parse"}
    assert places == {UNKNOWN}
