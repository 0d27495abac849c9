"""The exact heap profile over other allocators, and of C++: the same counts everywhere."""
from __future__ import annotations

import glob
import subprocess
from pathlib import Path

import pytest

from conftest import Profiled, pprof, run
from test_keys import by_function, fixture_keys  # noqa: F401  (a fixture of these tests, too)

ALLOCATORS = {"glibc": "", "jemalloc": "libjemalloc.so.2", "tcmalloc": "libtcmalloc.so.4",
              "mimalloc": "libmimalloc.so.2*"}


@pytest.fixture(scope="session", name="operators")
def fixture_operators(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("operators") / "operators"
    source = Path(__file__).resolve().parent / "operators.cc"
    subprocess.check_call(["g++", "-std=c++17", "-O1", "-g", "-fno-builtin", str(source), "-o",
                           str(target)])
    return target


def preload(profiled: Profiled, allocator: str) -> str:
    """perflab in front, the allocator behind it."""
    pattern = ALLOCATORS[allocator]
    found = sorted(glob.glob(f"/usr/lib/*-linux-gnu*/{pattern}")) if pattern else []
    if pattern and not found:
        pytest.skip(f"{allocator} is not here; make test-deps lists its package")
    return " ".join([str(profiled.library), *found[:1]])


@pytest.mark.parametrize("allocator", ALLOCATORS)
def test_c(profiled: Profiled, keys: Path, allocator: str) -> None:
    under = run([str(keys), "allocate"], profiled.folder, LD_PRELOAD=preload(profiled, allocator),
                PERFLAB="heap=heap.pb.gz,heaprate=1")
    assert (under.status, under.stderr) == (0, b"")
    sums = by_function(profiled.folder / "heap.pb.gz", "allocate")
    assert (sums["alloc_objects"], sums["inuse_objects"]) == (2000, 1000)
    assert sums["inuse_space"] * 2 == sums["alloc_space"] >= 20_000_000


@pytest.mark.parametrize("allocator", ALLOCATORS)
def test_operators(profiled: Profiled, operators: Path, allocator: str) -> None:
    """Each is one block, at the function that called it: operator new has no line of its own."""
    under = run([str(operators), *(["fail"] if allocator == "glibc" else [])], profiled.folder,
                LD_PRELOAD=preload(profiled, allocator), PERFLAB="heap=heap.pb.gz,heaprate=1")
    assert (under.status, under.stderr) == (0, b"")
    path = profiled.folder / "heap.pb.gz"
    sums = by_function(path, "make_all(int&)")
    assert (sums["alloc_objects"], sums["inuse_objects"]) == (1000, 500)
    assert sums["inuse_space"] > 0
    profile = pprof.read(path, strict=True)
    names = {f.id: f.name for f in profile.functions}
    leaves = {names[place.lines[0].function] for place in profile.locations
              for sample in profile.samples if sample.locations[0] == place.id}
    assert not any(name.startswith(("operator new", "malloc")) for name in leaves), leaves
