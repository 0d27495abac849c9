"""perflab.h builds everywhere it says it does: languages, compilers, C libraries, switches."""
from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import List, Sequence

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "perflab.h").read_text()
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
SWITCHES = sorted(set(re.findall(r"^ +(PERFLAB_NO_\w+)", TEXT, re.MULTILINE)))

COUNTING = """#include "perflab.h"
#include <stdlib.h>
int main(void) {
    pl_memstats before, after, change;
    pl_memstats_read(&before);
    for (int i = 0; i < 1000; i++) {
        void *block = malloc(24);
        PL_KEEP(block);
        free(block);
    }
    pl_memstats_read(&after);
    change = pl_memstats_diff(&after, &before);
    return printf("%d %d %d", (int)change.mallocs, (int)change.frees, (int)change.alloc) < 0;
}
"""


def build(command: Sequence[str], cwd: Path, code: str = "", suffix: str = "c") -> str:
    """Compiles code in a file of its own; returns what the compiler said, "" when nothing."""
    (cwd / f"main.{suffix}").write_text(code)
    done = subprocess.run([*command, f"-I{ROOT}"], cwd=cwd, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True)
    return done.stdout if done.returncode == 0 else done.stdout + f"\nexit {done.returncode}"


def implementation(compiler: str, *flags: str) -> List[str]:
    """The command of perflab.h's first page."""
    return [compiler, *flags, "-DPERFLAB_IMPL", "-x", "c", "-c", str(ROOT / "perflab.h"),
            "-o", "perflab.o"]


@pytest.mark.parametrize("compiler, standard", [
    (compiler, standard) for compiler in ("gcc", "clang", "musl-gcc")
    for standard in ("c99", "c11", "c17", "gnu99", "gnu17")])
def test_the_api_is_clean_c(tmp_path: Path, compiler: str, standard: str) -> None:
    code = '#include "perflab.h"\n#include "perflab.h"\nint main(void) { return 0; }\n'
    command = [compiler, f"-std={standard}", *STRICT, "-Wstrict-prototypes", "-c", "main.c"]
    assert build(command, tmp_path, code) == ""


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
@pytest.mark.parametrize("standard", ["c++11", "c++17", "c++20"])
def test_the_api_is_clean_cpp(tmp_path: Path, compiler: str, standard: str) -> None:
    code = '#include "perflab.h"\n#include "perflab.h"\nint main() { return 0; }\n'
    command = [compiler, f"-std={standard}", *STRICT, "-Wold-style-cast", "-c", "main.cc"]
    assert build(command, tmp_path, code, "cc") == ""


@pytest.mark.parametrize("compiler", ["gcc", "clang", "musl-gcc"])
@pytest.mark.parametrize("flags", [
    ["-std=gnu11", "-O2"], ["-std=gnu17", "-O0"], ["-O3", "-march=native", "-flto"],
    ["-Os", "-fPIC"], ["-std=c11", "-D_GNU_SOURCE"]], ids=" ".join)
def test_the_implementation_builds_without_a_warning(tmp_path: Path, compiler: str,
                                                     flags: List[str]) -> None:
    command = implementation(compiler, "-Wall", "-Wextra", "-Werror", *flags)
    assert build(command, tmp_path) == ""


TARGETS = ["x86_64-macos", "aarch64-macos", "x86_64-linux-musl", "aarch64-linux-musl",
           "aarch64-linux-gnu"]


@pytest.mark.parametrize("target", TARGETS)
def test_other_systems(tmp_path: Path, target: str,
                                        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZIG_GLOBAL_CACHE_DIR", str(ROOT / "build" / "zig"))
    cross = [sys.executable, "-m", "ziglang", "cc", "-target", target, "-O1"]
    assert build([*cross, *implementation("-Wall", "-Wextra", "-Werror")], tmp_path) == ""
    step = ["perflab.o", "-o", "main"] if "macos" in target else ["-c"]     # linking is slow
    assert build([*cross, "main.c", *step], tmp_path, COUNTING) == ""


def test_the_switches_are_documented() -> None:
    used = set(re.findall(r"\b(PERFLAB_NO_\w+)\b", TEXT))
    assert used == set(SWITCHES) != set()


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("switches", [[], *([switch] for switch in SWITCHES), SWITCHES],
                         ids=lambda names: "+".join(names) or "none")
def test_every_switch_builds_and_links(tmp_path: Path, compiler: str,
                                       switches: List[str]) -> None:
    flags = [f"-D{name}" for name in switches]
    assert build(implementation(compiler, "-Wall", "-Wextra", "-Werror", *flags), tmp_path) == ""
    code = '#include "perflab.h"\nint main(void) { return pl_now_ns() == 0; }\n'
    link = [compiler, "main.c", "perflab.o", "-o", "main", "-pthread", "-lm"]
    assert build(link, tmp_path, code) == ""
    subprocess.check_call([str(tmp_path / "main")])


def test_two_files_of_a_program_share_one_implementation(tmp_path: Path) -> None:
    (tmp_path / "other.c").write_text('#include "perflab.h"\nuint64_t other(void);\n'
                                      'uint64_t other(void) { return pl_now_ns(); }\n')
    code = ('#define _GNU_SOURCE\n#define PERFLAB_IMPL\n#include "perflab.h"\n'
            '#include "perflab.h"\nuint64_t other(void);\n'
            'int main(void) { return other() > pl_now_ns(); }\n')
    command = ["gcc", *STRICT[:2], "-Werror", "main.c", "other.c", "-o", "main", "-pthread", "-lm"]
    assert build(command, tmp_path, code) == ""
    subprocess.check_call([str(tmp_path / "main")])


@pytest.mark.parametrize("compiler, code, suffix, fix", [
    ("g++", '#define PERFLAB_IMPL\n#include "perflab.h"\n', "cc", "-x c -c perflab.h"),
    ("gcc", '#include <stdio.h>\n#define PERFLAB_IMPL\n#include "perflab.h"\n', "c",
     "#define _GNU_SOURCE"),
    ("gcc -std=gnu99", '#define PERFLAB_IMPL\n#include "perflab.h"\n', "c", "-std=gnu11"),
])
def test_a_wrong_use_stops_with_the_fix(tmp_path: Path, compiler: str, code: str, suffix: str,
                                        fix: str) -> None:
    said = build([*compiler.split(), "-c", f"main.{suffix}"], tmp_path, code, suffix)
    first = next(line for line in said.splitlines() if "error" in line)
    assert "perflab" in first and fix in first, said


def test_the_header_names_nothing_reserved(tmp_path: Path) -> None:
    said = build(["clang", "-Wreserved-identifier", "-Werror", "-ferror-limit=0", "-DPERFLAB_IMPL",
                  "-D_GNU_SOURCE", "-c", "main.c"], tmp_path, '#include "perflab.h"\n')
    named = set(re.findall(r"identifier '(\w+)' is reserved", said))
    assert {name for name in named if not name.startswith("__libc_")} == set()


@pytest.mark.parametrize("compiler", ["gcc", "clang", "musl-gcc"])
def test_what_is_built_counts(tmp_path: Path, compiler: str) -> None:
    assert build(implementation(compiler, "-O2"), tmp_path) == ""
    link = [compiler, "-O2", "main.c", "perflab.o", "-o", "main", "-pthread", "-lm"]
    assert build(link, tmp_path, COUNTING) == ""
    assert subprocess.check_output([str(tmp_path / "main")]) == b"1000 1000 0"
