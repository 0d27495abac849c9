"""Lines in what people read: crash reports, the stacks of all threads."""
from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from reading import ROOT, Workshop, run

SOURCE = """#include "perflab.h"
static volatile int *nowhere;
static inline int look(int i)
{
    return nowhere[i];
}
PL_NOINLINE static int search(int i)
{
    int found = look(i) + 1;
    PL_CLOBBER();
    return found;
}
int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        return pl_stacks_write(stdout) != PL_OK;
    return search(argc) + 1;
}
"""


@pytest.fixture(scope="module", name="program")
def fixture_program(workshop: Workshop) -> Path:
    """It crashes in an inlined call; with an argument it shows its stacks."""
    source, path = workshop.folder / "crashes.c", workshop.folder / "crashes"
    source.write_text(SOURCE)
    run(["gcc", "-O2", "-g", f"-I{ROOT}", str(source), workshop.perflab(), "-o", str(path),
         "-pthread", "-ldl"])
    return path


def report(program: Path) -> str:
    """What it says when it crashes."""
    done = subprocess.run([str(program)], env=dict(os.environ, PERFLAB="crash=single"),
                          stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert done.returncode < 0
    return done.stderr


def frames_of_the_crash(source: str, module: str) -> str:
    """The first three lines of the stack, as a pattern."""
    place = rf"{re.escape(module)}\+0x[0-9a-f]+\n"
    return (rf"#0   (0x[0-9a-f]{{16}})  look \(inlined\)  {re.escape(source)}:5  {place}"
            rf"#1   \1  search\+0x[0-9a-f]+  {re.escape(source)}:9  {place}"
            rf"#2   0x[0-9a-f]{{16}}  main\+0x[0-9a-f]+  {re.escape(source)}:18  {place}")


def test_crash(program: Path) -> None:
    assert re.search(frames_of_the_crash(f"{program}.c", str(program)), report(program))


def test_crash_of_a_stripped_program(program: Path, tmp_path: Path) -> None:
    """Its debug file lies beside it."""
    copy, debug = tmp_path / "stripped", tmp_path / "stripped.debug"
    run(["objcopy", "--only-keep-debug", str(program), str(debug)])
    run(["objcopy", "--strip-all", f"--add-gnu-debuglink={debug}", str(program), str(copy)])
    assert re.search(frames_of_the_crash(f"{program}.c", str(copy)), report(copy))


def test_stacks(program: Path) -> None:
    text = run([str(program), "stacks"])
    assert re.search(rf"  main\+0x[0-9a-f]+  {re.escape(str(program))}\.c:17  ", text)
