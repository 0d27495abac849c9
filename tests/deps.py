"""What the tests need: names it, says what is missing, and installs it when asked to.

    python3 tests/deps.py             the list, and the commands that install what is missing
    python3 tests/deps.py --install   installs it; so does CI=true in the environment

Debian packages are installed for the system (as root, or with sudo); the Python packages go into
build/venv and Go's tools into build/tools/bin. Using perflab needs none of this.
"""
from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
VENV = BUILD / "venv"
GO_TOOLS = BUILD / "tools" / "bin"
REQUIREMENTS = ROOT / "tests" / "requirements.txt"
BENCHSTAT = "golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da"


class Need(NamedTuple):
    """One thing the tests use: how it is recognised, and where it comes from."""
    name: str
    package: str        # Debian's
    purpose: str
    program: str = ""   # present when this program is on PATH
    library: str = ""   # or when the linker's search path has this file
    module: str = ""    # or when this Python has the module
    path: str = ""      # or when this file is there


NEEDS: Sequence[Need] = (
    Need("cc", "gcc", "C", program="gcc"),
    Need("g++", "g++", "the header in C++ programs", program="g++"),
    Need("clang", "clang", "the second compiler", program="clang"),
    Need("clang-rt", "libclang-rt-dev", "clang's sanitizers", library="clang-rt"),
    Need("llvm", "llvm", "lines and inlined calls in clang's programs",
         program="llvm-symbolizer"),
    Need("make", "make", "everything", program="make"),
    Need("libc", "libc6-dev", "C headers", library="crt1.o"),
    Need("objdump", "binutils", "reading machine code and symbols", program="objdump"),
    Need("musl-gcc", "musl-tools", "the second C library", program="musl-gcc"),
    Need("valgrind", "valgrind", "memory errors", program="valgrind"),
    Need("pkg-config", "pkg-config", "make install", program="pkg-config"),
    Need("cmake", "cmake", "README's CMake snippet", program="cmake"),
    Need("git", "git", "the list of the repository's files", program="git"),
    Need("bwrap", "bubblewrap", "the fresh-machine gate", program="bwrap"),
    Need("debootstrap", "debootstrap", "the fresh-machine gate", program="debootstrap"),
    Need("setpriv", "util-linux", "the fresh-machine gate", program="setpriv"),
    Need("jemalloc", "libjemalloc-dev", "other allocators", library="libjemalloc.so"),
    Need("tcmalloc", "libtcmalloc-minimal4", "other allocators",
         library="libtcmalloc_minimal.so.4"),
    Need("mimalloc", "libmimalloc-dev", "other allocators", library="libmimalloc.so"),
    Need("aarch64-gcc", "gcc-aarch64-linux-gnu", "the other processor",
         program="aarch64-linux-gnu-gcc"),
    Need("aarch64-libc", "libc6-dev-arm64-cross", "the other processor",
         path="/usr/aarch64-linux-gnu/include/stdio.h"),
    Need("qemu-aarch64", "qemu-user-static", "the other processor",
         program="qemu-aarch64-static"),
    Need("setarch", "util-linux", "thread sanitizer runs", program="setarch"),
    Need("perl", "perl", "a program to preload", program="perl"),
    Need("xz", "xz-utils", "a program to preload", program="xz"),
    Need("heaptrack", "heaptrack", "a figure beside ours in make bench", program="heaptrack"),
    Need("gperftools", "libgoogle-perftools4", "a figure beside ours in make bench",
         library="libprofiler.so.0"),
    Need("npm", "npm", "building the slides", program="npm"),
    Need("chromium", "chromium", "looking at the slides and the trace page", program="chromium"),
    Need("venv", "python3-venv", "the tests' own Python packages", module="ensurepip"),
    Need("go", "golang-go", "Go's own tools as judges", program="go"),
)


def find_program(name: str) -> Optional[str]:
    """The program's path, or None."""
    return shutil.which(name, path=search_path())


def search_path() -> str:
    """PATH for the tests: the user's, then the test tools, Go's usual place, and root's folders."""
    return os.pathsep.join([os.environ.get("PATH", ""), str(GO_TOOLS), "/usr/local/go/bin",
                            "/usr/sbin", "/sbin"])


def find_library(name: str) -> bool:
    """Whether the C compiler finds the file; "clang-rt" stands for clang's sanitizer runtime."""
    if name == "clang-rt":
        return clang_runtime()
    answer = subprocess.run(["gcc", "-print-file-name=" + name], stdout=subprocess.PIPE,
                            universal_newlines=True)
    return os.path.isabs(answer.stdout.strip())


def clang_runtime() -> bool:
    """Whether clang can link a sanitized program: its runtime is a package of its own."""
    if not find_program("clang"):
        return False
    command = ["clang", "-fsanitize=address", "-x", "c", "-", "-o", os.devnull]
    built = subprocess.run(command, input=b"int main(void){return 0;}", stderr=subprocess.DEVNULL)
    return built.returncode == 0


def present(need: Need) -> bool:
    """Whether this machine has it."""
    if need.program:
        return find_program(need.program) is not None
    if need.path:
        return os.path.exists(need.path)
    if need.module:
        return importlib.util.find_spec(need.module) is not None
    return find_program("gcc") is not None and find_library(need.library)


def missing_tools() -> List[str]:
    """Names of everything that a suite may declare and this machine lacks."""
    absent = [need.name for need in NEEDS if not present(need)]
    if not find_program("benchstat"):
        absent.append("benchstat")
    return absent


def as_root(command: Sequence[str]) -> List[str]:
    """The command as root: as it is for root, else through sudo."""
    return list(command) if os.geteuid() == 0 else ["sudo", "-n", *command]


def install_packages(packages: Sequence[str]) -> None:
    """Debian packages, without questions."""
    if not packages:
        return
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    for command in (["apt-get", "update", "-q"],
                    ["apt-get", "install", "-q", "-y", "--no-install-recommends", *packages]):
        run(as_root(command), environment)


def run(command: Sequence[str], environment: Optional[Dict[str, str]] = None) -> None:
    """Runs a step of the installation; a failure ends the program with one line."""
    print("+ " + " ".join(command), flush=True)
    try:
        status = subprocess.call(command, env=environment, stdin=subprocess.DEVNULL)
    except OSError as error:
        status = error.errno or 1
    if status != 0:
        sys.exit(f"tests/deps.py: '{command[0]} ...' failed with {status}; mend what it says "
                 "above and run make test-deps again")


def venv_python() -> Path:
    """The Python of the test venv, which may not exist yet."""
    return VENV / "bin" / "python"


def venv_ready() -> bool:
    """Whether the venv was made from the requirements as they are now, by this Python."""
    stamp = VENV / "perflab-stamp"
    return stamp.is_file() and stamp.read_text() == requirements_stamp()


def requirements_stamp() -> str:
    """Changes when the requirements or the Python behind the venv change."""
    return hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()


def make_venv() -> None:
    """build/venv with the pinned packages: nothing of the system is touched."""
    if venv_ready():
        return
    run([sys.executable, "-m", "venv", "--clear", str(VENV)])
    run([str(venv_python()), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
         "-r", str(REQUIREMENTS)])
    (VENV / "perflab-stamp").write_text(requirements_stamp())


def make_go_tools() -> None:
    """Go's benchstat, a judge of our benchmark format, in build/tools/bin."""
    go = find_program("go")
    if find_program("benchstat") or not go:
        return
    GO_TOOLS.mkdir(parents=True, exist_ok=True)
    run([go, "install", BENCHSTAT], dict(os.environ, GOBIN=str(GO_TOOLS)))


def report() -> None:
    """The table for a person."""
    rows = [(need.package, present(need), need.purpose) for need in NEEDS]
    rows.append(("pytest and others", venv_ready(), "Python packages, in build/venv"))
    rows.append(("benchstat", bool(find_program("benchstat")),
                 "Go's judge of benchmark files, in build/tools/bin"))
    width = max(len(row[0]) for row in rows)
    for name, there, purpose in rows:
        print(f"  {name:{width}}  {'ok' if there else 'MISSING':7}  {purpose}")


def install() -> int:
    """Installs what is missing, and says whether that worked."""
    install_packages([need.package for need in NEEDS if not present(need)])
    make_venv()
    make_go_tools()
    absent = missing_tools()
    if absent:
        print("tests/deps.py: still missing: " + ", ".join(absent), file=sys.stderr)
        return 1
    print("everything the tests need is here")
    return 0


def advise() -> int:
    """Says how to install what is missing."""
    absent = [need.package for need in NEEDS if not present(need)]
    if absent:
        sudo = "" if os.geteuid() == 0 else "sudo "
        print(f"\n{sudo}apt-get install " + " ".join(absent))
    if missing_tools() or not venv_ready():
        print("\n`make test-deps INSTALL=1` installs what is missing; until then the suites that "
              "need it are left out")
    return 0


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="tests/deps.py", description="What perflab's tests need.")
    parser.add_argument("--install", action="store_true", help="install what is missing")
    options = parser.parse_args(arguments)
    report()
    if options.install or os.environ.get("CI") == "true":
        return install()
    return advise()


if __name__ == "__main__":
    sys.exit(main())
