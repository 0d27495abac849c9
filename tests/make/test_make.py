"""What the Makefile promises, seen from the shell."""
from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Dict, List

import pytest

ROOT = Path(__file__).resolve().parents[2]


def make(*arguments: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess:
    """Runs make as a user does, without what an outer make left in the environment."""
    inherited = {key: value for key, value in os.environ.items()
                 if key not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "CC", "CI")}
    return subprocess.run(["make", *arguments], cwd=cwd, env={**inherited, **environment},
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, universal_newlines=True)


@pytest.fixture()
def echo(tmp_path: Path) -> str:
    """A stand-in for Python that prints its arguments, one a line."""
    script = tmp_path / "echo-arguments"
    script.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    script.chmod(0o755)
    return f"PYTHON={script}"


def arguments(done: subprocess.CompletedProcess) -> List[str]:
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == ["-m", "graders"]
    return lines[2:]


def test_help_is_the_default_and_lists_every_target() -> None:
    text = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z][\w%-]*):(?!=)", text, re.MULTILINE))
    lines = re.findall(r"^\.PHONY:(.*)", text, re.MULTILINE)
    phony = {name for line in lines for name in line.split()} - {"FORCE"}
    done = make()
    listed = set(re.findall(r"^  make (\S+) +\S", done.stdout, re.MULTILINE))
    assert done.returncode == 0 and make("help").stdout == done.stdout
    assert listed == {target.replace("%", "NN") for target in targets}
    assert phony <= listed
    assert all(len(line) <= 100 for line in done.stdout.splitlines())


@pytest.mark.parametrize("target, verb", [
    ("lab03", "grade"), ("lab03-bench", "bench"), ("lab03-profile", "profile"),
    ("lab03-hint", "hint"), ("lab03-watch", "watch"), ("lab03-reset", "reset"),
    ("lab03-quiz", "quiz"), ("lab17", "grade")])
def test_a_lab_needs_no_line_of_its_own(echo: str, target: str, verb: str) -> None:
    assert arguments(make(target, echo)) == [verb, target[3:5]]


def test_options_reach_the_grader_whatever_is_in_them(echo: str) -> None:
    path = 'my "own" it\'s $(x) /student.c'.replace("$(x)", "$$HOME")
    words = arguments(make("lab03", echo, f"SUBMISSION={path}", "CC=my cc", "FORMAT=json",
                           "OUTPUT=a b", "SEED=7"))
    options: Dict[str, str] = dict(zip(words[1:-1:2], words[2:-1:2]))
    assert words[0] == "grade" and words[-1] == "03"
    assert options == {"--cc": "my cc", "--submission": path.replace("$$", "$"),
                       "--format": "json", "--output": "a b", "--seed": "7"}


def test_ones_own_version_can_be_profiled(echo: str) -> None:
    assert arguments(make("lab03-profile", echo, "MINE=1")) == ["profile", "--mine", "03"]


def test_authors_commands_take_their_name_from_the_shell(echo: str) -> None:
    assert arguments(make("new-lab", echo, "NAME=a b; $$HOME")) == ["new-lab", "a b; $HOME"]
    assert arguments(make("check-labs", echo)) == ["check"]
    assert arguments(make("check-labs", echo, "LAB=03")) == ["check", "03"]
    assert arguments(make("check-all", echo, "LAB=03")) == ["check", "--all", "03"]


def test_the_environments_compiler_is_passed_on_and_makes_own_default_is_not(echo: str) -> None:
    assert arguments(make("lab03", echo, CC="clang")) == ["grade", "--cc", "clang", "03"]
    assert arguments(make("lab03", echo)) == ["grade", "03"]


def test_an_unknown_lab_is_named(tmp_path: Path) -> None:
    done = make("lab99")
    lines = [line for line in done.stderr.splitlines() if not line.startswith("make:")]
    assert done.returncode == 2
    assert len(lines) == 1 and "99" in lines[0], done.stderr


def test_a_file_of_that_name_does_not_stop_a_lab(tmp_path: Path, echo: str) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "lab03").write_text("")
    assert arguments(make("lab03", echo, cwd=tmp_path)) == ["grade", "03"]


PROGRAM = '#include <perflab.h>\nint main(void) { return puts(PL_VERSION) < 0; }\n'


def test_install_into_a_folder_with_a_blank(tmp_path: Path) -> None:
    stage = tmp_path / "stage here"
    done = make("install", f"DESTDIR={stage}", "prefix=/opt/perflab")
    assert done.returncode == 0, done.stderr
    files = sorted(str(path.relative_to(stage)) for path in stage.rglob("*") if path.is_file())
    assert files == ["opt/perflab/include/perflab.h", "opt/perflab/lib/pkgconfig/perflab.pc"]
    assert "Libs: -ldl -pthread" in (stage / files[1]).read_text().splitlines()


def test_what_is_installed_is_found_by_pkg_config(tmp_path: Path) -> None:
    prefix = tmp_path / "usr"
    assert make("install", f"prefix={prefix}").returncode == 0
    environment = dict(os.environ, PKG_CONFIG_PATH=str(prefix / "lib" / "pkgconfig"))
    flags = subprocess.check_output(["pkg-config", "--cflags", "--libs", "perflab"],
                                    env=environment, universal_newlines=True).split()
    version = subprocess.check_output(["pkg-config", "--modversion", "perflab"], env=environment,
                                      universal_newlines=True).strip()
    (tmp_path / "main.c").write_text(PROGRAM)
    subprocess.check_call(["cc", "main.c", "-o", "main", *flags], cwd=tmp_path)
    printed = subprocess.check_output([str(tmp_path / "main")], universal_newlines=True)
    assert printed.strip() == version != ""


def test_preload_counts_in_a_program_that_knows_nothing_of_perflab(tmp_path: Path) -> None:
    done = make("preload")
    assert done.returncode == 0, done.stderr
    (tmp_path / "main.c").write_text(PRELOADED)
    subprocess.check_call(["cc", "main.c", "-o", "main", "-ldl"], cwd=tmp_path)
    # The loader splits LD_PRELOAD at blanks, and the repository's path may have one.
    library = shutil.copy(ROOT / "build" / "libperflab.so", tmp_path)
    printed = subprocess.check_output([str(tmp_path / "main")],
                                      env=dict(os.environ, LD_PRELOAD=str(library)))
    assert printed == b"1000\n"


PRELOADED = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include "%s/perflab.h"
int main(void) {
    pl_result (*read)(pl_memstats *) = (pl_result (*)(pl_memstats *))dlsym(RTLD_DEFAULT,
                                                                          "pl_memstats_read");
    pl_memstats before, after;
    void *volatile block;
    read(&before);
    for (int i = 0; i < 1000; i++) { block = malloc(24); free(block); }
    read(&after);
    return printf("%%lld\\n", (long long)(after.mallocs - before.mallocs)) < 0;
}
""" % ROOT
