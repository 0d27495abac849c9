"""Unmodified programs do what they always do, and their profiles hold all of their time."""
from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import Callable, Dict, List

import pytest

from preloaded import ROOT, Preload, functions_of, run

PYTHON = """
import hashlib, threading
def spin(n):
    return sum(i * i % 7 for i in range(n))
threads = [threading.Thread(target=spin, args=(10000000,)) for _ in range(2)]
[thread.start() for thread in threads]
print(spin(30000000), hashlib.sha256(b'x' * 100000000).hexdigest())
[thread.join() for thread in threads]
raise SystemExit(5)
"""
PERL = "my $s = 0; my %h; for my $i (1 .. 9000000) { $s += $i * $i % 7; $h{$i % 999} .= 'x' } " \
       "print \"$s \", join(' ', sort { $a <=> $b } grep { $_ < 9 } keys %h), qq(\\n); exit 3"
BASH = "x=0; for ((i = 0; i < 700000; i++)); do x=$((x + i)); done; " \
       "for ((j = 0; j < 9; j++)); do y=$(echo $j); done; echo $x $y; (exit 4); exit $?"


def lines(seed: int) -> str:
    """A text that has something in common with that of another seed."""
    draw = random.Random(seed)
    return "".join(f"{draw.randrange(3000)}\n" for _ in range(25000))


def git(folder: Path) -> List[str]:
    """Compares two texts; the exit status is 1, since they differ."""
    for seed in (1, 2):
        (folder / f"{seed}.txt").write_text(lines(seed))
    return ["git", "diff", "--no-index", "--no-color", "--minimal", "1.txt", "2.txt"]


def xz(folder: Path) -> List[str]:
    """Two threads at work."""
    (folder / "text").write_text("".join(lines(seed) for seed in range(70)))
    return ["xz", "-T2", "-2", "--block-size=2MiB", "-c", "text"]


PROGRAMS: Dict[str, Callable[[Path], List[str]]] = {
    "python3": lambda folder: [sys.executable, "-c", PYTHON],
    "perl": lambda folder: ["perl", "-e", PERL],
    "git": git,
    "xz": xz,
    "gcc": lambda folder: ["gcc", "-std=gnu11", "-O2", "-S", "-Wall", "-DPERFLAB_IMPL", "-x", "c",
                           str(ROOT / "perflab.h"), "-o", "-"],
    "bash": lambda folder: ["bash", "-c", BASH],
}


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_same_output_and_all_of_the_time(preload: Preload, name: str) -> None:
    """Output, errors and status are those without perflab; profiles add up to wait4's CPU time."""
    command = PROGRAMS[name](preload.folder)
    without = run(command, preload.folder)
    sampled = preload.run(command)
    assert (sampled.status, sampled.errors) == (without.status, without.errors)
    assert sampled.output == without.output
    assert without.seconds > 0.5, "too short to tell"
    assert abs(preload.seconds() / sampled.seconds - 1) < 0.03
    for path in preload.files():
        top = subprocess.run(["go", "tool", "pprof", "-top", str(path)], check=True, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE).stdout
        assert "Type: cpu" in top and "flat%" in top


def test_at_ten_thousand_a_second(preload: Preload) -> None:
    """The highest rate changes neither output nor totals."""
    command = PROGRAMS["perl"](preload.folder)
    without = run(command, preload.folder)
    sampled = preload.run(command, hz=10000)
    assert (sampled.status, sampled.output) == (without.status, without.output)
    assert abs(preload.seconds() / sampled.seconds - 1) < 0.03


def test_functions_have_names(preload: Preload) -> None:
    """The interpreter's own loop is seen, by name."""
    preload.run(PROGRAMS["python3"](preload.folder))
    assert "_PyEval_EvalFrameDefault" in functions_of(preload.files()[0])


def test_many_children(preload: Preload) -> None:
    """300 children that do next to nothing: no file of theirs that has no samples, nothing left
    over, and the first process's file is the shell's own."""
    work = "for ((i = 0; i < 300; i++)); do (:); done; for ((i = 0; i < 300000; i++)); do :; done"
    ended = preload.run(["bash", "-c", work], hz=10)
    files = preload.files()
    assert ended.status == 0 and ended.errors == ""
    assert files[0].name == "cpu.pb.gz" and len(files) < 100
    assert not [path.name for path in files if not path.name.startswith("cpu.pb.gz")
                or path.name.endswith(".tmp")]
    assert preload.seconds() > 0.3


def test_children_do_not_take_the_first_file(preload: Preload) -> None:
    """A program that a shell executes writes beside the shell's file, whoever's setenv it is: bash
    has its own."""
    work = "for ((i = 0; i < 300000; i++)); do :; done"
    spin = f'"{sys.executable}" -c "sum(i * i for i in range(3000000))"'
    preload.run(["bash", "-c", f"{spin}; ({spin}); {work}"])
    files = preload.files()
    assert "execute_command_internal" in functions_of(files[0])
    assert "_PyEval_EvalFrameDefault" not in functions_of(files[0])
    assert sum("_PyEval_EvalFrameDefault" in functions_of(path) for path in files[1:]) == 2


def test_process_number_in_the_name(preload: Preload) -> None:
    """%p is each process's own number; nothing is appended."""
    preload.run(["bash", "-c", "for ((i = 0; i < 200000; i++)); do :; done; echo $$"],
                perflab=f"cpu={preload.profiles}/cpu-%p.pb.gz,hz=1000")
    names = [path.name for path in preload.files()]
    assert len(names) == 1 and names[0][4:-6].isdigit()
