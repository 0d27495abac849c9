"""PERFLAB=leakcheck=N: what a program has not given back is said at its end."""
from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import List, Tuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
SUMMARY = re.compile(r"perflab: (\d+) leaks?: (\d+) bytes in (\d+) blocks?, "
                     r"(\d+) descriptors?, (\d+) threads?")
BUILDS = {
    "gcc": ["gcc", "-O2"], "clang": ["clang", "-O2"], "gcc-O0": ["gcc", "-O0"],
    "no-pie": ["gcc", "-O2", "-no-pie", "-fno-pie"], "musl": ["musl-gcc", "-O2"],
    "stripped": ["gcc", "-O2", "-s"],
}
Report = Tuple[int, str, str]


def build(folder: Path, command: List[str], source: Path = HERE / "leaks.c") -> str:
    """A program with perflab.o in it."""
    compiler = "gcc" if command[0] == "g++" else command[0]
    subprocess.run([compiler, *command[1:], "-DPERFLAB_IMPL", "-x", "c", "-c",
                    str(ROOT / "perflab.h"), "-o", str(folder / "perflab.o")], check=True)
    subprocess.run([*command, f"-I{ROOT}", str(source), str(folder / "perflab.o"), "-o",
                    str(folder / "program"), "-ldl", "-pthread"], check=True)
    return str(folder / "program")


def run(program: str, what: str, setting: str = "leakcheck=1", **more: str) -> Report:
    """Exit status, standard output, and what perflab says."""
    done = subprocess.run([program, what], env=dict(os.environ, PERFLAB=setting, **more),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, text=True)
    return done.returncode, done.stdout, done.stderr


def counts(report: str) -> List[int]:
    """Blocks, descriptors and threads."""
    summary = SUMMARY.search(report)
    assert summary, report
    return [int(summary[group]) for group in (3, 4, 5)]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> str:
    return build(tmp_path_factory.mktemp("leaks"), ["gcc", "-O2", "-g"])


@pytest.mark.parametrize("name", BUILDS)
def test_what_is_left_is_reported_at_the_end(name: str, tmp_path: Path) -> None:
    """However it is built. A few blocks may look reachable: some old word is their address."""
    status, out, said = run(build(tmp_path, BUILDS[name]), "block cache file thread")
    blocks, descriptors, threads = counts(said)
    assert (status, out) == (3, "begins, ends\n")
    assert 17 <= blocks <= 20 and (descriptors, threads) == (1, 1), said
    assert "(/etc/passwd), opened at" in said
    if name != "stripped":
        for function in ("lose_block", "leave_open", "leave_thread", "wait_for_ever"):
            assert f"  {function}+0x" in said
        assert "grow_cache" not in said


def test_nothing_is_left(program: str) -> None:
    status, _, said = run(program, "nothing")
    assert status == 3
    assert said == "perflab: 0 leaks: 0 bytes in 0 blocks, 0 descriptors, 0 threads\n"


def test_what_can_be_reached_is_counted_when_asked_for(program: str) -> None:
    _, _, lost = run(program, "cache")
    _, _, everything = run(program, "cache", "leakcheck=2")
    assert counts(lost) == [0, 0, 0] and "still reachable: " in lost
    assert counts(everything) == [10, 0, 0]
    assert re.search(r"reachable: \d+ bytes in 10 blocks, allocated at\n.*  grow_cache\+0x",
                     everything)


@pytest.mark.parametrize("what, setting, status", [
    ("file", "leakcheck=1,leakexit=23", 23), ("nothing", "leakcheck=1,leakexit=23", 3),
    ("file", "leakcheck=1", 3), ("cache", "leakcheck=1,leakexit=23", 3),
    ("cache", "leakcheck=2,leakexit=23", 23)])
def test_the_exit_code_is_changed_only_when_asked(program: str, what: str, setting: str,
                                                  status: int) -> None:
    found, out, _ = run(program, what, setting)
    assert (found, out) == (status, "begins, ends\n")


def test_names_to_ignore(program: str) -> None:
    setting = "leakcheck=2,leakignore=grow_cache,leakignore=leave_*"
    _, _, said = run(program, "cache file thread", setting)
    assert counts(said) == [0, 0, 0]
    _, _, said = run(program, "cache", "leakcheck=2,leakignore=program")
    assert counts(said) == [0, 0, 0]


def test_a_child_answers_for_itself(program: str) -> None:
    """What its parent made before the fork is not the child's."""
    _, _, said = run(program, "fork child cache file", "leakcheck=2")
    child, parent = [part for part in said.split("perflab: ") if part]
    assert counts("perflab: " + child)[1:] == [0, 0] and counts("perflab: " + child)[0] == 6
    assert counts("perflab: " + parent) == [10, 1, 0]


def test_off_says_nothing(program: str) -> None:
    assert run(program, "block file thread", "leakcheck=0") == (3, "begins, ends\n", "")


@pytest.mark.parametrize("setting, complaint", [
    ("leakcheck=yes", "leakcheck='yes' is not a number from 0 to 2"),
    ("leakcheck", "leakcheck='' is not a number from 0 to 2"),
    ("leakcheck=0,leakexit=256", "leakexit='256' is not a number from 0 to 255")])
def test_what_is_wrong_is_said(program: str, setting: str, complaint: str) -> None:
    status, _, said = run(program, "nothing", setting)
    assert status == 3
    assert said == f"perflab: PERFLAB: {complaint}\n"


def test_beside_a_cpu_profile(program: str, tmp_path: Path) -> None:
    _, _, said = run(program, "file", f"cpu={tmp_path}/cpu.pb.gz,leakcheck=1")
    assert counts(said) == [0, 1, 0]
    assert (tmp_path / "cpu.pb.gz").exists()


def test_preloaded(library: Path, tmp_path: Path) -> None:
    """A program that knows nothing of it."""
    subprocess.run(["gcc", "-O2", str(HERE / "leaks.c"), "-o", str(tmp_path / "plain"),
                    "-pthread"], check=True)
    _, _, said = run(str(tmp_path / "plain"), "block file thread", LD_PRELOAD=str(library))
    blocks, descriptors, threads = counts(said)
    assert 17 <= blocks <= 20 and (descriptors, threads) == (1, 1), said


@pytest.mark.parametrize("command", [["gcc", "-O2", "-static"],
                                     ["gcc", "-O1", "-fsanitize=address"]], ids=" ".join)
def test_without_hooks_the_report_says_what_it_cannot_see(command: List[str],
                                                          tmp_path: Path) -> None:
    """Beside a sanitizer, and where a static link keeps libc's malloc."""
    status, out, said = run(build(tmp_path, command), "file", ASAN_OPTIONS="detect_leaks=0")
    blocks, descriptors, _ = counts(said)
    assert (status, out) == (3, "begins, ends\n")
    assert (blocks, descriptors) == (0, 1) and "(/etc/passwd), opened" in said


CPP = """
#include <cstdio>
#include <map>
#include <string>
#include <vector>
struct Session { std::vector<int> numbers; std::string name; };
static std::map<int, std::string> names;
__attribute__((noinline)) void open_session() {
    Session *s = new Session;
    s->numbers.resize(100);
    s->name = std::string(50, 'x');
}
int main() {
    for (int i = 0; i < 20; i++) open_session();
    names[1] = std::string(100, 'y');
    try { throw 1; } catch (int) { std::puts("caught"); }
}
"""


def test_cpp(tmp_path: Path) -> None:
    """The function that said `new` is the first of its stack; exceptions leave nothing."""
    (tmp_path / "main.cc").write_text(CPP)
    program = build(tmp_path, ["g++", "-O1"], tmp_path / "main.cc")
    _, _, said = run(program, "")
    blocks, _, _ = counts(said)
    assert 51 <= blocks <= 60, said
    assert re.search(r"allocated at\n +#0 +0x[0-9a-f]+  open_session\(\)\+0x", said)
    assert "operator new" not in said
