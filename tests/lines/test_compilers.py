"""Files, lines and inlined calls of every address of many builds, beside llvm-symbolizer."""
from __future__ import annotations

from typing import Dict, List

import pytest
from reading import Workshop, addresses, compare, ours

LEVELS = ["-O0", "-O2", "-O3"]
VERSIONS = ["-gdwarf-4", "-gdwarf-5"]
# name -> compiler and flags
BUILDS: Dict[str, List[str]] = {
    "dwarf-2": ["gcc", "-O2", "-gdwarf-2"],
    "dwarf-3": ["gcc", "-O2", "-gdwarf-3", "-gstrict-dwarf"],
    "dwarf64": ["gcc", "-O2", "-gdwarf64"],
    "lto": ["gcc", "-O2", "-g", "-flto"],
    "lto-4": ["gcc", "-O2", "-gdwarf-4", "-flto"],
    "sections": ["gcc", "-O2", "-g", "-ffunction-sections", "-Wl,--gc-sections"],
    "sections-clang": ["clang", "-O2", "-g", "-ffunction-sections", "-Wl,--gc-sections"],
    "no-pie": ["gcc", "-O2", "-g", "-no-pie"],
    "size": ["gcc", "-Os", "-g"],
    "lines-only": ["clang", "-O2", "-gline-tables-only"],
    "compressed": ["gcc", "-O2", "-gz", "-g"],
    "compressed-clang": ["clang", "-O2", "-gz", "-g"],
    "relative-paths": ["gcc", "-O2", "-g", "-ffile-prefix-map=/=./"],
}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_c(workshop: Workshop, compiler: str, level: str, version: str) -> None:
    object_file = workshop.perflab()
    program = workshop.build(f"c-{compiler}{level}{version}", [compiler, level, version],
                             object_file)
    mine = compare(program, object_file)
    inlined = {frame[0] for frames in mine.values() for frame in frames[:-1]}
    assert level == "-O0" or {"skip_blanks", "digit"} <= inlined


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_cxx(workshop: Workshop, compiler: str, level: str, version: str) -> None:
    object_file = workshop.perflab()
    program = workshop.build(f"cxx-{compiler}{level}{version}", [compiler, level, version],
                             object_file, "work.cc")
    mine = compare(program, object_file)
    names = {frame[0] for frames in mine.values() for frame in frames}
    assert any(name.startswith("shop::Basket::sum() const") for name in names)


@pytest.mark.parametrize("name", [name for name in BUILDS if name != "relative-paths"])
def test_build(workshop: Workshop, name: str) -> None:
    object_file = workshop.perflab()
    compare(workshop.build(name, BUILDS[name], object_file), object_file)


def test_relative_paths(workshop: Workshop) -> None:
    """Paths that the compiler was told to shorten are as it wrote them."""
    object_file = workshop.perflab()
    program = workshop.build("relative", BUILDS["relative-paths"], object_file)
    files = {place.rpartition(":")[0] for frames in ours(program, addresses(program, object_file))
             .values() for _, place in frames}
    assert any(file.startswith("./") and file.endswith("tests/lines/work.c") for file in files)


def test_static(workshop: Workshop) -> None:
    object_file = workshop.perflab()
    program = workshop.build("static", ["gcc", "-O2", "-g", "-static"], object_file)
    compare(program, object_file)


def test_musl(workshop: Workshop) -> None:
    object_file = workshop.perflab("musl-gcc")
    program = workshop.build("musl", ["musl-gcc", "-O2", "-g"], object_file)
    compare(program, object_file)


def test_the_other_processor(workshop: Workshop) -> None:
    compiler = "aarch64-linux-gnu-gcc"
    object_file = workshop.perflab(compiler)
    program = workshop.build("arm", [compiler, "-O2", "-g", "-static"], object_file)
    compare(program, object_file, "qemu-aarch64-static", objdump="aarch64-linux-gnu-objdump")
