"""The CPU profile of real programs, however they were built, in stock go tool pprof and in ours."""
from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, Tuple

import pytest

import deps
from readme import readme

from graders import pprof
from graders.profile import Profile

ROOT = Path(__file__).resolve().parents[2]
WORDS = next(block.text for block in readme() if block.value == "words.c")
BUILDS: Dict[str, Tuple[str, List[str]]] = {
    "pie": ("gcc", ["-pie"]),
    "no-pie": ("gcc", ["-no-pie", "-fno-pie"]),
    "no frame pointers": ("gcc", ["-fomit-frame-pointer"]),
    "frame pointers": ("gcc", ["-fno-omit-frame-pointer"]),
    "O3": ("gcc", ["-O3"]),
    "static": ("gcc", ["-static"]),
    "static-pie": ("gcc", ["-static-pie"]),
    "lto": ("gcc", ["-flto"]),
    "clang": ("clang", []),
    "clang, no-pie": ("clang", ["-no-pie", "-fno-pie"]),
    "c++": ("g++", ["-x", "c++", "-fpermissive"]),
}


def run(command: List[str], **more: str) -> str:
    """What a command prints; it must succeed, and have nothing to say on stderr."""
    done = subprocess.run(command, env=dict(os.environ, **more), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120,
                          universal_newlines=True)
    assert (done.returncode, done.stderr) == (0, ""), (command, done.returncode, done.stderr)
    return done.stdout


def build(folder: Path, compiler: str, flags: List[str], program: str = "words") -> Path:
    """README's example, with the implementation compiled the same way."""
    (folder / "words.c").write_text(WORDS)
    own = [flag for flag in flags if flag not in ("-x", "c++", "-fpermissive")]
    c_compiler = {"g++": "gcc", "clang++": "clang"}.get(compiler, compiler)
    for command in ([c_compiler, "-O2", "-g", *own, "-DPERFLAB_IMPL", "-x", "c", "-c",
                     str(ROOT / "perflab.h"), "-o", str(folder / "perflab.o")],
                    [compiler, "-O2", "-g", *flags, f"-I{ROOT}", "-c", str(folder / "words.c"),
                     "-o", str(folder / "words.o")],
                    [compiler, "-O2", "-g", *own, str(folder / "words.o"),
                     str(folder / "perflab.o"), "-o", str(folder / program), "-ldl", "-pthread"]):
        done = subprocess.run(command, stderr=subprocess.PIPE, universal_newlines=True)
        assert done.returncode == 0, done.stderr
    return folder / program


def take(program: Path, hz: int = 1000) -> Path:
    """Runs a program under its own profiler."""
    path = program.with_suffix(".pb.gz")
    run([str(program)], PERFLAB=f"cpu={path},hz={hz}")
    return path


def cumulative(profile: Profile) -> Dict[str, float]:
    """Each function's share of all time, as leaf or caller."""
    names = {function.id: function.name for function in profile.functions}
    own = {place.id: {names[line.function] for line in place.lines} for place in profile.locations}
    total = sum(sample.values[1] for sample in profile.samples)
    shares: Dict[str, float] = {}
    for sample in profile.samples:
        for name in set().union(*(own[place] for place in sample.locations)):
            shares[name] = shares.get(name, 0) + sample.values[1] / total
    return shares


def rows(table: str) -> List[str]:
    """The lines of a table of functions, without its head."""
    return [line.strip() for line in table.partition("cum%\n")[2].splitlines()]


def go_pprof(*arguments: str) -> str:
    """Stock pprof; what it says on stderr (names it could not find) is its own affair."""
    done = subprocess.run([str(deps.find_program("go")), "tool", "pprof", *arguments],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120,
                          universal_newlines=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", BUILDS)
def test_every_build_tells_where_the_time_goes(tmp_path: Path, name: str) -> None:
    """The hot function and its callers are named, up to main, whatever the compiler did."""
    program = build(tmp_path, *BUILDS[name])
    path = take(program)
    shares = cumulative(pprof.read(path, strict=True))
    hot = next(share for function, share in shares.items() if "find" in function)
    assert hot > 0.8
    assert shares["main"] > 0.97
    assert "main" in go_pprof("-top", "-cum", str(program), str(path))


def test_pprof_and_graders_print_the_same_table(tmp_path: Path) -> None:
    """To the line, names and order included: what README's two commands show."""
    path = take(build(tmp_path, "gcc", []))
    theirs = go_pprof("-top", "-symbolize=none", str(path))
    ours = run([sys.executable, "-m", "graders", "top", "--as-recorded", str(path)])
    assert rows(theirs) == rows(ours)


@pytest.mark.parametrize("report", ["-peek=find", "-list=find", "-traces", "-raw", "-tree"])
def test_stock_reports(tmp_path: Path, report: str) -> None:
    """Source lines come from the program, names from the profile."""
    program = build(tmp_path, "gcc", [])
    path = take(program)
    said = go_pprof(report, str(program), str(path))
    assert re.search(r"\bfind\b", said) and "strcmp" in said


def test_the_difference_of_a_profile_and_itself_is_nothing(tmp_path: Path) -> None:
    program = build(tmp_path, "gcc", [])
    path = take(program)
    said = go_pprof("-top", f"-diff_base={path}", str(program), str(path))
    assert re.search(r"Showing nodes accounting for 0, 0% of \d", said)


def test_a_stripped_program_keeps_its_functions_apart(tmp_path: Path) -> None:
    """Without names, functions are called by module and offset."""
    program = build(tmp_path, "gcc", [])
    subprocess.run(["strip", str(program)], check=True)
    shares = cumulative(pprof.read(take(program), strict=True))
    hidden = {name: share for name, share in shares.items() if name.startswith("[words+0x")}
    assert max(hidden.values()) > 0.97 and len([s for s in hidden.values() if s > 0.8]) >= 2


def test_a_program_that_was_replaced_while_it_ran(tmp_path: Path) -> None:
    """The file at the path is another one: names still come from what runs."""
    program = build(tmp_path, "gcc", [])
    path = program.with_suffix(".pb.gz")
    script = f'PERFLAB=cpu={path},hz=1000 "{program}" & sleep 0.1; mv "$1" "{program}"; wait'
    shutil.copy("/bin/true", tmp_path / "other")
    run(["sh", "-c", script, "sh", str(tmp_path / "other")])
    shares = cumulative(pprof.read(path, strict=True))
    assert shares["main"] > 0.97 and shares["find"] > 0.8
