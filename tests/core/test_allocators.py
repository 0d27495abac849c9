"""perflab's statistics above every allocator, however linked: exact, or silent and said so."""
from __future__ import annotations

import shutil
import subprocess
from typing import Dict, List

import pytest

from builds import ALLOCATORS, Builds, ledger, run


@pytest.mark.parametrize("way", ["object", "library"])
@pytest.mark.parametrize("allocator", ["glibc", *ALLOCATORS])
def test_preloaded_allocator(builds: Builds, way: str, allocator: str) -> None:
    """A preloaded allocator stays in charge and every block of it is counted."""
    order = [builds.library()] if way == "library" else []
    preload = " ".join(order + ([ALLOCATORS[allocator]] if allocator != "glibc" else []))
    assert run(ledger(builds, way), preload=preload) == "exact\n"


@pytest.mark.parametrize("allocator", ALLOCATORS)
def test_linked_allocator(builds: Builds, allocator: str) -> None:
    """An allocator that the program is linked with is the next in line."""
    program = builds.program(f"ledger-{allocator}", "gcc", "ledger.c", builds.object("gcc"),
                             f"-l:{ALLOCATORS[allocator]}")
    assert run([program]) == "exact\n"


@pytest.mark.parametrize("allocator", ALLOCATORS)
def test_both_as_libraries(builds: Builds, allocator: str) -> None:
    """The first in line counts: perflab, or nobody, which the text says; preloading mends that."""
    parts = [builds.library(), f"-l:{ALLOCATORS[allocator]}", builds.search_path()]
    before = builds.program(f"before-{allocator}", "gcc", "ledger.c", "-Wl,--no-as-needed", *parts)
    assert run([before]) == "exact\n"
    behind = builds.program(f"behind-{allocator}", "gcc", "ledger.c", "-Wl,--no-as-needed",
                            *reversed(parts))
    said = run([behind])
    assert said.startswith("silent\n") and "# counted: nothing: another malloc" in said
    assert run([behind], preload=builds.library()) == "exact\n"


@pytest.mark.parametrize("allocator", ALLOCATORS)
@pytest.mark.parametrize("way", ["object", "library"])
def test_operators_of_a_linked_allocator(builds: Builds, allocator: str, way: str) -> None:
    """The allocator brings operator new itself; each block counts once."""
    perflab = builds.object("gcc") if way == "object" else builds.library()
    program = builds.program(f"operators-{allocator}-{way}", "g++", "operators.cc", "-std=c++17",
                             "-Wl,--no-as-needed", perflab, f"-l:{ALLOCATORS[allocator]}",
                             builds.search_path())
    assert run([program, "no-failure"]) == "exact\n"


@pytest.mark.parametrize("allocator", ["glibc", *ALLOCATORS])
def test_operators(builds: Builds, allocator: str) -> None:
    """Operator new and delete count once, whoever implements them, and still throw."""
    program = builds.program("operators", "g++", "operators.cc", "-std=c++17",
                             builds.object("gcc"))
    command = [program, "no-failure"] if allocator == "mimalloc" else [program]
    assert run(command, preload=ALLOCATORS.get(allocator, "")) == "exact\n"


def test_linked_and_preloaded(builds: Builds) -> None:
    """Two copies of perflab in one process count once."""
    assert run(ledger(builds, "object"), preload=builds.library()) == "exact\n"


@pytest.mark.parametrize("flag", ["-static", "-static-pie"])
def test_static(builds: Builds, flag: str) -> None:
    """A static program keeps libc's malloc, and the text says that nothing is counted."""
    program = builds.program(f"ledger{flag}", "gcc", "ledger.c",
                             builds.object("gcc", "-fPIE"), flag)
    said = run([program])
    assert said.startswith("silent\n") and "# counted: nothing: another malloc" in said


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("sanitizer", ["address", "thread"])
@pytest.mark.parametrize("object_too", [True, False])
def test_sanitizers(builds: Builds, compiler: str, sanitizer: str, object_too: bool) -> None:
    """Beside a sanitizer perflab hands on and counts nothing, however its object was compiled."""
    flag = f"-fsanitize={sanitizer}"
    made = builds.object(compiler, flag) if object_too else builds.object(compiler)
    program = builds.program(f"ledger-{compiler}-{sanitizer}-{object_too}", compiler, "ledger.c",
                             made, flag)
    command = ["setarch", "-R", program] if sanitizer == "thread" else [program]
    assert run(command).startswith("silent\n")


def test_musl(builds: Builds) -> None:
    """musl's calloc calls malloc, and its posix_memalign aligned_alloc: each counts once."""
    program = builds.program("ledger-musl", "musl-gcc", "ledger.c", builds.object("musl-gcc"))
    assert run([program]) == "exact\n"


def test_musl_static_says_what_to_do(builds: Builds) -> None:
    """A static musl program has no second name for malloc: it ends at once with the remedy."""
    program = builds.program("ledger-musl-static", "musl-gcc", "ledger.c",
                             builds.object("musl-gcc"), "-static")
    done = subprocess.run([program], stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode != 0 and "-DPERFLAB_NO_INTERPOSE" in done.stderr
    quiet = builds.program("ledger-musl-quiet", "musl-gcc", "ledger.c",
                           builds.object("musl-gcc", "-DPERFLAB_NO_INTERPOSE"), "-static")
    assert run([quiet]).startswith("silent\n")


def test_aarch64(builds: Builds) -> None:
    """The same on the other processor, under emulation."""
    program = builds.program("ledger-arm", "aarch64-linux-gnu-gcc", "ledger.c",
                             builds.object("aarch64-linux-gnu-gcc"))
    assert run(["qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu", program]) == "exact\n"


@pytest.mark.parametrize("way", ["object", "library"])
def test_valgrind(builds: Builds, way: str) -> None:
    """valgrind finds nothing wrong, and its blocks are counted."""
    assert run(["valgrind", "-q", "--error-exitcode=9", *ledger(builds, way)]) == "exact\n"


COMMANDS: Dict[str, List[str]] = {
    "python": ["python3", "-c", "print(sum(len(str(i)) for i in range(100000)))"],
    "gcc": ["gcc", "-dumpmachine"], "git": ["git", "--version"],
    "bash": ["bash", "-c", "for i in 1 2 3; do echo $i | cat; done"],
    "ls": ["ls", "-l", "/usr/bin"], "sort": ["sort", "/etc/services"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_unmodified_programs(builds: Builds, name: str) -> None:
    """A preloaded perflab changes nothing in programs that do not know it."""
    command = COMMANDS[name]
    assert shutil.which(command[0]), f"{command[0]} is missing"
    assert run(command, preload=builds.library()) == run(command)
