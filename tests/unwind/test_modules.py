"""Libraries that come and go while stacks are taken: nothing is read that is not there, and what
was sampled keeps its name."""
from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import List

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
import cut  # noqa: E402  (the path has to be set first)

HERE = Path(__file__).resolve().parent
HOLES = ["-Wl,-z,max-page-size=0x200000,-z,separate-code"]  # of 2 MiB, between the segments
BUILDS = {
    "gcc": ["gcc", "-O1", "-fomit-frame-pointer"],
    "gcc-O3": ["gcc", "-O3", "-fomit-frame-pointer"],
    "clang": ["clang", "-O2", "-fomit-frame-pointer"],
    "unhooked": ["gcc", "-O1", "-DPERFLAB_NO_INTERPOSE"],
    "asan": ["gcc", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
    "tsan": ["gcc", "-O1", "-fsanitize=thread"],
}


def compile_c(*args: str) -> None:
    """Runs a compiler."""
    subprocess.run([*args, "-g", "-std=gnu11", *cut.flags("frame"), f"-I{ROOT / 'tests'}"],
                   check=True)


@pytest.fixture(scope="module", name="libraries")
def fixture_libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the libraries to load."""
    folder = tmp_path_factory.mktemp("libraries")
    for name, flags in {"a": [], "b": [], "holes": HOLES}.items():
        compile_c("gcc", "-O1", "-shared", "-fPIC", "-fomit-frame-pointer", f"-DNAME=plugin_{name}",
                  str(HERE / "plugin.c"), "-o", str(folder / f"{name}.so"), *flags)
    return folder


def failures(tap: str) -> List[str]:
    """The tests that failed, with what is said of them."""
    return [line for line in tap.splitlines() if line.startswith(("not ok", "#"))]


@pytest.mark.parametrize("build", sorted(BUILDS))
def test_modules(libraries: Path, build: str, tmp_path: Path) -> None:
    """Names, bounds, and words of the stack that only look like code."""
    if not shutil.which(BUILDS[build][0]):
        pytest.skip(f"{BUILDS[build][0]} is not here")
    program = tmp_path / "modules"
    compile_c(*BUILDS[build], str(HERE / "modules.c"), "-o", str(program), "-ldl", "-pthread")
    done = subprocess.run([str(program), "./a.so", "./b.so", "./holes.so"], cwd=libraries,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60,
                          check=False)
    assert done.returncode == 0, (failures(done.stdout), done.stdout[-400:], done.stderr[-2000:])
    assert done.stdout.splitlines()[-1].startswith("1.."), done.stdout[-400:]


def test_started_by_the_dynamic_linker(libraries: Path, tmp_path: Path) -> None:
    """`ld.so ./program`: the program's own path, not the dynamic linker's."""
    loaders = sorted(Path("/lib64").glob("ld-linux-*.so.*"))
    if not loaders:
        pytest.skip("no dynamic linker in /lib64")
    program = tmp_path / "modules"
    compile_c(*BUILDS["gcc"], str(HERE / "modules.c"), "-o", str(program), "-ldl", "-pthread")
    done = subprocess.run([str(loaders[0]), str(program), "./a.so", "./b.so", "./holes.so"],
                          cwd=libraries, stdout=subprocess.PIPE, text=True, timeout=60, check=False)
    assert done.stdout.splitlines()[0] == f"ok 1 - the program: {program}"
