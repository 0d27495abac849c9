"""Every moment of a program's, a thread's and a library's life."""
from __future__ import annotations

import pytest

from builds import ALLOCATORS, Builds, run

GLIBC_AND = ["glibc", *ALLOCATORS]


@pytest.mark.parametrize("way", ["object", "library"])
@pytest.mark.parametrize("allocator", GLIBC_AND)
def test_lifetimes(builds: Builds, way: str, allocator: str) -> None:
    """Constructors, destructors, exit handlers, detached threads, fork, vfork, spawn, exec."""
    perflab = builds.object("gcc") if way == "object" else builds.library()
    program = builds.program(f"lifetimes-{way}", "g++", "lifetimes.cc", "-std=c++17", perflab,
                             builds.search_path())
    order = [perflab] if way == "library" else []
    order += [ALLOCATORS[allocator]] if allocator != "glibc" else []
    assert run([program], preload=" ".join(order)) == "exact\n"


def plugin(builds: Builds) -> str:
    """A library to load at run time."""
    return builds.program("plugin.so", "gcc", "plugin.c", "-shared", "-fPIC")


@pytest.mark.parametrize("binding, blocks", [("plugin", 1000), ("deepbind", 0)])
@pytest.mark.parametrize("way", ["object", "library"])
def test_plugins(builds: Builds, way: str, binding: str, blocks: int) -> None:
    """A loaded library is counted; one that is bound past everybody is not, and not by half."""
    made = [builds.object("gcc"), "-rdynamic"] if way == "object" else []
    host = builds.program(f"host-{way}", "gcc", "host.c", *made, "-ldl", "-pthread")
    preload = builds.library() if way == "library" else ""
    said = run([host, binding, plugin(builds)], preload=preload)
    assert said == f"{blocks} mallocs, {blocks} frees\nended well\n"


def test_perflab_loaded_late(builds: Builds) -> None:
    """Loaded beside running threads it cannot count, says so, and goes without a trace."""
    host = builds.program("host-library", "gcc", "host.c", "-ldl", "-pthread")
    said = run([host, "perflab", builds.library()])
    assert "mallocs        = 0\n" in said and "counted        = 0\n" in said
    assert "# counted: nothing: another malloc" in said and said.endswith("ended well\n")
