"""Lines and inlined calls, from the files that ran and from no others."""
from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import List, Tuple

import pytest
from made_profiles import TYPES, profile

from graders import symbolize
from graders.elf import Elf
from graders.profile import Function, Line, Location, Mapping, Profile, Sample

SOURCE = """\
static inline __attribute__((always_inline)) int inner(int x)
{
    __asm__ volatile(".globl marker\\nmarker: nop");
    return x + 1;
}
__attribute__((noinline)) int outer(int x)
{
    return inner(x) * 2;
}
int main(int argc, char **argv) { return outer(argc) + (argv == 0); }
"""
ALL = [("inner", 3), ("outer", 8)]


def build(folder: Path, *flags: str, compiler: str = "gcc") -> Path:
    """A program in which the symbol `marker` is on line 3, inlined into line 8."""
    (folder / "app.c").write_text(SOURCE)
    program = folder / "app"
    subprocess.run([compiler, "-O2", "-g", "-Wl,--build-id=sha1", *flags, "app.c", "-o",
                    str(program)], cwd=folder, check=True)
    return program


def marker(program: Path) -> int:
    listing = subprocess.run(["objdump", "-t", str(program)], stdout=subprocess.PIPE, text=True,
                             check=True).stdout
    return next(int(line.split()[0], 16) for line in listing.splitlines()
                if line.endswith(" marker"))


def segment(program: Path) -> Tuple[int, int]:
    """File offset and address of the code segment, as objdump has it."""
    listing = subprocess.run(["objdump", "-p", str(program)], stdout=subprocess.PIPE, text=True,
                             check=True).stdout.splitlines()
    for head, tail in zip(listing, listing[1:]):
        if "LOAD" in head and "r-x" in tail:
            words = head.split()
            return int(words[2], 16), int(words[4], 16)
    raise AssertionError(listing)


def taken(program: Path, name: str = "outer", start: int = 0x7F0000001000) -> Profile:
    """A profile of one sample at the marker, with the name that the process would give it."""
    offset, address = segment(program)
    page = address % 4096
    mapping = Mapping(1, start, start + 0x10000, offset - page, str(program),
                      Elf(program).build_id())
    place = Location(1, 1, marker(program) - address + start + page, (Line(1),) if name else ())
    functions = (Function(1, name, name),) if name else ()
    return Profile(TYPES, (Sample((1,), (3, 30)),), (mapping,), (place,), functions)


def frames(made: Profile, tool: str = "addr2line") -> List[Tuple[str, int]]:
    """Names and lines of the first location, innermost first."""
    named = symbolize.symbolize(made, shutil.which(tool)).profile
    assert [location.id for location in named.locations] == list(range(
        1, len(made.locations) + 1))
    return [(named.functions[line.function - 1].name, line.line)
            for line in named.locations[0].lines]


@pytest.mark.parametrize("flags", [("-pie", "-fPIE"), ("-no-pie",), ("-static",),
                                   ("-gdwarf-4",), ("-Wl,-z,separate-code",)],
                         ids=" ".join)
def test_inlined_calls_are_seen_by_name_and_line(tmp_path: Path, flags: Tuple[str, ...]) -> None:
    program = build(tmp_path, *flags)
    assert frames(taken(program)) == ALL


def test_the_build_id_is_that_of_the_file(tmp_path: Path) -> None:
    program = build(tmp_path)
    notes = subprocess.run(["objdump", "-s", "-j", ".note.gnu.build-id", str(program)],
                           stdout=subprocess.PIPE, text=True, check=True).stdout
    digits = "".join("".join(line.split()[1:5]) for line in notes.splitlines() if
                     line.startswith(" "))
    assert Elf(program).build_id() == digits[32:72]


def test_files_name_the_source(tmp_path: Path) -> None:
    named = symbolize.symbolize(taken(build(tmp_path))).profile
    assert {item.file for item in named.functions if item.file} == {str(tmp_path / "app.c")}


@pytest.mark.parametrize("recorded, shown", [
    ("outer", "outer"), ("outer.constprop.0", "outer"), ("outer.isra.0.cold", "outer"),
    ("strlen", "strlen"), ("", "outer"), ("outer2", "outer2")])
def test_names_of_the_program_win_but_for_what_a_compiler_appends(tmp_path: Path, recorded: str,
                                                                  shown: str) -> None:
    assert frames(taken(build(tmp_path), recorded)) == [("inner", 3), (shown, 8)]


def test_another_build_is_not_used_and_said(tmp_path: Path) -> None:
    made = taken(build(tmp_path))
    build(tmp_path, "-DOTHER=1", "-O1")
    result = symbolize.symbolize(made)
    assert result.profile.locations == made.locations
    assert len(result.notes) == 1 and "was built anew since this profile" in result.notes[0]
    Path(made.mappings[0].file).unlink()
    result = symbolize.symbolize(made)
    assert result.profile.locations == made.locations and "is gone" in result.notes[0]


def test_without_a_build_id_in_the_profile_the_file_is_taken(tmp_path: Path) -> None:
    made = taken(build(tmp_path))
    bare = replace(made, mappings=(replace(made.mappings[0], build_id=""),))
    assert frames(bare) == ALL


def test_what_the_program_resolved_itself_stays(tmp_path: Path) -> None:
    made = taken(build(tmp_path))
    whole = replace(made, mappings=(replace(made.mappings[0], has_functions=True),))
    assert frames(whole) == [("outer", 0)]
    lines = replace(made, locations=(replace(made.locations[0], lines=(Line(1, 77),)),))
    assert frames(lines) == [("outer", 77)]


def test_without_debug_information_names_stay(tmp_path: Path) -> None:
    program = build(tmp_path)
    made = taken(program)
    subprocess.run(["objcopy", "--strip-debug", str(program)], check=True)
    assert frames(made) == [("outer", 0)]
    subprocess.run(["objcopy", "--strip-all", str(program)], check=True)
    assert frames(made) == [("outer", 0)]


@pytest.mark.parametrize("content", [b"", b"\x7fELF\x02\x01" + b"\xff" * 80, b"text"])
def test_a_damaged_file_is_no_reason_to_fail(tmp_path: Path, content: bytes) -> None:
    program = build(tmp_path)
    made = taken(program)
    for mapping in (made.mappings[0], replace(made.mappings[0], build_id="")):
        program.write_bytes(content)
        assert frames(replace(made, mappings=(mapping,))) == [("outer", 0)]


@pytest.mark.parametrize("file", ["[vdso]", "", "//anon", "/dev/null", "relative/app", "/\0x"])
def test_memory_without_a_file_is_left_alone(file: str) -> None:
    made = profile({"main;work": 3}, mappings=(Mapping(1, 0x1000, 0x9000, 0, file),))
    assert symbolize.symbolize(made).profile.locations == made.locations


def test_a_machine_without_the_tools_is_told(tmp_path: Path,
                                             monkeypatch: pytest.MonkeyPatch) -> None:
    made = taken(build(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    result = symbolize.symbolize(made)
    assert result.profile.locations == made.locations
    assert result.notes == ("inlined functions and lines are not shown: install binutils or llvm",)


@pytest.mark.parametrize("output", ["", "nonsense\n", "0x10\n", "0x10\nf\n", "0x10\n??\n??:0\n",
                                    "0x10\nf\n??:?\n", "f\nfile:3\n", "0x10\nf\nfile\n"])
def test_odd_output_of_the_tool_is_nothing(tmp_path: Path, output: str) -> None:
    tool = tmp_path / "addr2line"
    tool.write_text(f"#!/bin/sh\nprintf '%s' '{output}'\n")
    tool.chmod(0o755)
    made = taken(build(tmp_path))
    assert symbolize.symbolize(made, str(tool)).profile.locations == made.locations
    tool.write_text("#!/bin/sh\nexit 1\n")
    assert symbolize.symbolize(made, str(tool)).profile.locations == made.locations
