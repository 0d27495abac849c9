"""Takes measurements and records them: a command's output with its machine.

    python3 -m slides measure 03_string_building          all measurements of that deck
    python3 -m slides measure 03_string_building bench    one of them

The commands stand in the deck's INI file. Two of them are ours:

    python3 -m slides stacks 03 slow FUNCTION      a profile of the lab as folded stacks
    python3 -m slides stacks cpu.pb.gz FUNCTION    any other one
    python3 -m slides program FILE.c ...           builds a program with perflab.h and runs it
"""
from __future__ import annotations

import datetime
import os
import platform
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Dict, Iterator, List, Sequence, Tuple

from graders import build, compiler, lab, lab_profile, machine, pprof, symbolize
from graders.profile import Location, Profile

from . import recorded
from .excerpt import ROOT, SlideError
from .plan import Section

CUT = 0.005     # stacks below this share of the profile are left out


def take(section: Section) -> Path:
    """Runs a measurement's command and writes what it printed."""
    command = " ".join(section.need("run").split())
    done = subprocess.run(["sh", "-c", command], cwd=ROOT, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, universal_newlines=True,
                          env=dict(os.environ, NO_COLOR="1"))
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


def lab_stacks(number: str, side: str, start: str) -> List[str]:
    """A profile of one side of a lab, each stack from the function ``start`` on."""
    item = lab.load(ROOT, number)
    source = item.path / "slow.c" if side == "slow" else item.solution / "student.c"
    recipe = build.recipe_for(ROOT, "", "-O2")
    program = build.build_bench(item, source, build.build_trusted(item, recipe), recipe)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cpu.pb.gz"
        lab_profile.take(program, path, "1s")
        return folded(path, start)


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


# programs of the slides ---------------------------------------------------------------------------


def program(arguments: Sequence[str]) -> int:
    """Builds FILE.c with perflab.h and runs it with the other arguments."""
    tool = compiler.find()
    folder = ROOT / "build" / "slides" / "programs"
    folder.mkdir(parents=True, exist_ok=True)
    library, target = folder / "perflab.o", folder / Path(arguments[0]).stem
    compile_with(tool, ["-DPERFLAB_IMPL", "-x", "c", "-c", "perflab.h", "-o", str(library)])
    compile_with(tool, ["-g", "-fno-plt", "-I.", arguments[0], str(library), "-o", str(target),
                        "-ldl", "-pthread"])
    return subprocess.call([str(target), *arguments[1:]], cwd=ROOT)


def compile_with(tool: compiler.Compiler, arguments: Sequence[str]) -> None:
    """One step of the compiler; its own words tell what is wrong."""
    command = [*tool.command, "-O2", *arguments]
    if subprocess.call(command, cwd=ROOT) != 0:
        raise SlideError("'" + shlex.join(command) + "' failed; mend what it says above")


def print_stacks(arguments: Sequence[str]) -> int:
    """Folded stacks of a lab (number, side, function) or of a file (path, function)."""
    if len(arguments) == 3:
        lines = lab_stacks(arguments[0], arguments[1], arguments[2])
    else:
        lines = folded(Path(arguments[0]), arguments[1])
    sys.stdout.writelines(line + "\n" for line in lines)
    return 0
