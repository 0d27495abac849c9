"""Takes measurements and records them: a command's output with its machine.

    python3 -m slides measure 03_string_building          all measurements of that deck
    python3 -m slides measure 03_string_building bench    one of them

The commands stand in the deck's INI file. Some of them are ours:

    python3 -m slides program FILE.c ...         builds C files with perflab.h and runs them
    python3 -m slides lab 03 slow ...            the same with a lab's benchmarks; slow or solution
    python3 -m slides stacks cpu.pb.gz FUNCTION  a profile as folded stacks, from a function on
    python3 -m slides layout FILE.c STRUCT       where the members of a struct lie
"""
from __future__ import annotations

import datetime
import os
import platform
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Dict, Iterator, List, Sequence, Tuple

from graders import compiler, machine, pprof, symbolize
from graders.profile import Location, Profile

from . import recorded
from .excerpt import ROOT, Marker, SlideError, cut
from .plan import Section

BUILT = ROOT / "build" / "slides" / "programs"
LIMIT = 120     # seconds for a measurement
CUT = 0.005     # stacks below this share of the profile are left out


def take(section: Section) -> Path:
    """Runs a measurement's command and writes what it printed."""
    command = " ".join(section.need("run").split())
    try:
        done = subprocess.run(["sh", "-c", command], cwd=ROOT, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, universal_newlines=True, timeout=LIMIT,
                              env=dict(os.environ, NO_COLOR="1", LC_ALL="C"))
    except subprocess.TimeoutExpired as late:
        raise SlideError(f"{section.where}: no end after {LIMIT} s; look at its run") from late
    if done.returncode not in (0, 1) or not done.stdout.strip():
        raise SlideError(f"{section.where}: '{command}' ended with {done.returncode}")
    target = recorded.path_of(section.deck, section.name)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(head(command) + "\n" + without_machine(done.stdout), encoding="utf-8")
    return target


def head(command: str) -> str:
    """Where the measurement comes from."""
    tool = compiler.find()
    facts = machine.facts(tool, (), None)
    lines = {"command": command,
             "machine": f"{facts.processor}, {facts.cores} cores, {platform.system()}",
             "compiler": f"{tool.name} -O2",
             "date": datetime.date.today().isoformat()}
    return "".join(f"# {key}: {value}\n" for key, value in lines.items())


def without_machine(text: str) -> str:
    """Output without this machine's paths."""
    lines = text.replace(str(ROOT) + "/", "").splitlines()
    return "\n".join(line.rstrip() for line in lines).strip() + "\n"


# profiles as folded stacks ------------------------------------------------------------------------


def folded(path: Path, start: str) -> List[str]:
    """The samples of a profile as "find;strcmp 17", those with the same functions added up."""
    profile = symbolize.symbolize(pprof.read(path)).profile
    weights: Dict[Tuple[str, ...], int] = {}
    for sample in profile.samples:
        names = [name for one in reversed(sample.locations)
                 for name in reversed(functions(profile, profile.locations[one - 1]))]
        kept = tuple(shown(names, start))
        if kept:
            weights[kept] = weights.get(kept, 0) + sample.values[0]
    least = sum(weights.values()) * CUT
    return [f"{';'.join(names)} {weight}" for names, weight in sorted(weights.items())
            if weight >= least]


def shown(names: Sequence[str], start: str) -> Iterator[str]:
    """From the function ``start`` on; what lies inside libraries belongs to the call into them."""
    last = ""
    for name in names[names.index(start):] if start in names else ():
        if name.startswith(("pli_", "_")):
            return
        if name != last and not name.startswith("["):
            yield name
        last = name


def functions(profile: Profile, location: Location) -> List[str]:
    """The functions at an address, the innermost first."""
    return [profile.functions[line.function - 1].name for line in location.lines]


def print_stacks(arguments: Sequence[str]) -> int:
    """The folded stacks of a profile: its file, and the function to begin at."""
    lines = folded(Path(arguments[0]), arguments[1])
    sys.stdout.writelines(line + "\n" for line in lines)
    return 0


# structs in memory --------------------------------------------------------------------------------


def print_layout(arguments: Sequence[str]) -> int:
    """Offset and size of each member of a struct, as the compiler lays it out."""
    path, name = arguments
    members = re.findall(r"(\w+)(?:\[[^\]]*\])*;",
                         "\n".join(cut(Marker(path, name))[1:]))
    lines = [f'printf("{one} offset=%zu size=%zu\\n", offsetof(struct {name}, {one}), '
             f"sizeof ((struct {name} *)0)->{one});" for one in members]
    source = "\n".join([f'#include "{ROOT / path}"', "#include <stddef.h>", "#include <stdio.h>",
                        "int main(void) {", *lines,
                        f'printf("(all) offset=0 size=%zu\\n", sizeof(struct {name})); }}'])
    BUILT.mkdir(parents=True, exist_ok=True)
    (BUILT / "layout.c").write_text(source, encoding="utf-8")
    compile_with(compiler.find(), [
        "-w", "-I.", "-Ilabs/" + Path(path).parent.name, str(BUILT / "layout.c"),
        "-o", str(BUILT / "layout"), "-pthread"])
    return subprocess.call([str(BUILT / "layout")])


# programs -----------------------------------------------------------------------------------------


def program(arguments: Sequence[str]) -> int:
    """Builds C files with perflab.h and runs them with the other arguments."""
    sources = [name for name in arguments if name.endswith(".c")]
    folders = {Path(name).parent.name for name in sources if name.split("/")[0] != "slides"}
    return build_and_run(sources, [f"-Ilabs/{name}" for name in sorted(folders)],
                         arguments[len(sources):])


def run_lab(arguments: Sequence[str]) -> int:
    """Builds a lab's benchmarks with one side and runs them with the other arguments."""
    number, side = arguments[:2]
    folder = next(iter((ROOT / "labs").glob(f"{number}_*")), None)
    if folder is None:
        raise SlideError(f"there is no lab {number}; see the folders in labs/")
    source = folder / "slow.c" if side == "slow" else \
        ROOT / "solutions" / folder.name / "student.c"
    parts = [folder / "workload.c", source, *(ROOT / "graders" / name
                                              for name in ("bench_main.c", "buffer.c"))]
    return build_and_run([str(part) for part in parts], [f"-I{folder}"], arguments[2:])


def build_and_run(sources: Sequence[str], includes: Sequence[str],
                  arguments: Sequence[str]) -> int:
    """Compiles with the graders' flags, links perflab, runs."""
    tool = compiler.find()
    BUILT.mkdir(parents=True, exist_ok=True)
    library, target = BUILT / "perflab.o", BUILT / "program"
    compile_with(tool, ["-DPERFLAB_IMPL", "-x", "c", "-c", "perflab.h", "-o", str(library)])
    # -fno-plt: calls of libraries show no stubs in profiles.
    compile_with(tool, ["-g", *tool.extra, "-fno-plt", "-I.", "-Igraders", *includes, *sources,
                        str(library), "-o", str(target), "-ldl", "-lm", "-pthread"])
    return subprocess.call([str(target), *arguments], cwd=ROOT)


def compile_with(tool: compiler.Compiler, arguments: Sequence[str]) -> None:
    """One step of the compiler; its own words tell what is wrong."""
    command = [*tool.command, "-O2", *arguments]
    if subprocess.call(command, cwd=ROOT) != 0:
        raise SlideError("'" + shlex.join(command) + "' failed; mend what it says above")
