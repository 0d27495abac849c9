"""Builds programs that tell their own lines, and asks llvm-symbolizer the same questions."""
from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Sequence, Tuple

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
Frames = Tuple[Tuple[str, str], ...]    # function and FILE:LINE, the innermost first
UNKNOWN = "??:0"
# What compilers append to a function that they have split or specialised.
CLONE = re.compile(r"\.(cold|constprop|isra|part|lto_priv)(\.\d+)*$")


def run(command: Sequence[str], told: str = "") -> str:
    """What a program prints; its failure is the test's."""
    done = subprocess.run(command, input=told, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=300, check=False)
    assert done.returncode == 0, (command, done.stderr[-2000:])
    return done.stdout


@dataclass(frozen=True)
class Workshop:
    """A folder, and perflab's objects for all programs in it: without debug information, so that
    all that is known is the program's own."""
    folder: Path

    def perflab(self, compiler: str = "gcc", *flags: str) -> str:
        """The object, made once for each compiler and set of flags."""
        path = self.folder / ("-".join(["perflab", compiler, *flags]).replace("/", "") + ".o")
        if not path.exists():
            run([compiler, "-O1", "-g0", *flags, "-DPERFLAB_IMPL", "-x", "c", "-c",
                 str(ROOT / "perflab.h"), "-o", str(path)])
        return str(path)

    def build(self, name: str, command: Sequence[str], perflab: str,
              source: str = "work.c") -> Path:
        """A program from host.c and a file of code, with the compiler and flags of `command`."""
        path = self.folder / name
        host = self.folder / f"{name}.o"
        compiler = {"g++": "gcc", "clang++": "clang"}.get(command[0], command[0])
        run([compiler, "-O2", "-g", "-c", f"-I{ROOT}", str(HERE / "host.c"), "-o", str(host)])
        run([*command, str(host), str(HERE / source), perflab, "-o", str(path), "-pthread", "-ldl"])
        return path


def addresses(program: Path, perflab: str, objdump: str = "objdump") -> List[str]:
    """Where the instructions of a program are, but for perflab's own functions."""
    own = {line.split()[-1] for line in run(["nm", perflab]).splitlines()}
    found: List[str] = []
    wanted = False
    code = run([objdump, "-d", "--no-show-raw-insn", "-j", ".text", str(program)])
    for line in code.splitlines():
        function = re.match(r"[0-9a-f]+ <(.*)>:", line)
        instruction = re.match(r" +([0-9a-f]+):\t", line)
        if function:
            wanted = function[1] not in own
        elif instruction and wanted:
            found.append(f"0x{instruction[1]}")
    return found


def answers(text: str) -> Dict[str, Frames]:
    """By address: lines of functions and of places take turns."""
    found: Dict[str, List[str]] = {}
    lines: List[str] = []
    for line in text.splitlines():
        if re.fullmatch("0x[0-9a-f]+", line):
            lines = found.setdefault(line, [])
        else:
            lines.append(line.split(" (discriminator")[0])
    return {address: tuple(zip(lines[::2], lines[1::2])) for address, lines in found.items()}


def ours(program: Path, asked: Sequence[str], *prefix: str) -> Dict[str, Frames]:
    """What the program says of itself."""
    return answers(run([*prefix, str(program)], "\n".join(asked) + "\n"))


def theirs(program: Path, asked: Sequence[str]) -> Dict[str, Frames]:
    """What llvm-symbolizer says, with the names that C++'s runtime makes of the linker's."""
    text = run(["llvm-symbolizer", "-e", str(program), "--no-demangle", "-f=linkage", "--inlines",
                "-a", "--output-style=GNU"], "\n".join(asked) + "\n")
    names = [line if line.startswith("0x") else CLONE.sub("", line) for line in text.splitlines()]
    return answers(run(["c++filt"], "\n".join(names) + "\n"))


def differences(mine: Dict[str, Frames], other: Dict[str, Frames]) -> List[str]:
    """The addresses of which another thing is said. Where llvm-symbolizer knows no function (filler
    between two), or no file, no file may be said; otherwise all has to be the same."""
    wrong: List[str] = []
    for address, frames in other.items():
        known = frames[-1][0] != "??" and "/" in frames[-1][1]
        if known and mine[address] != frames:
            wrong.append(f"{address}: {mine[address]} for {frames}")
        if not known and mine[address][-1][1] != UNKNOWN:
            wrong.append(f"{address}: {mine[address]} where nothing is known")
    return wrong


def compare(program: Path, perflab: str, *prefix: str,
            objdump: str = "objdump") -> Dict[str, Frames]:
    """Every address of a program. Returns what it says."""
    asked = addresses(program, perflab, objdump)
    mine, other = ours(program, asked, *prefix), theirs(program, asked)
    known = [frames for frames in other.values() if "/" in frames[-1][1]]
    assert len(known) > 50
    assert mine.keys() == other.keys()
    assert differences(mine, other)[:3] == []
    return mine
