"""Before and after, measured: recorded.ini beside a lab's NOTES.md, and the tables made from it.

`record NN` grades slow.c, the solution and every probe, runs the benchmarks, and writes the figures
with machine, compiler and date. `readme NN` makes the tables of README.md from lab.ini. Both write
between their markers only; with --check they write nothing and say what differs.

    [run]                   date, processor, system, compiler, flags, n
    [slow.c], [solution], [PROBE.c]
                            state, ratio and the value of each piece of evidence; or error
    [benchmarks]            slow, solution: lines as the benchmarks print them
"""
from __future__ import annotations

import argparse
import configparser
import re
import subprocess
import textwrap
import time
from pathlib import Path
from typing import Dict, Iterator, Mapping, Optional, Sequence

from . import build, evidence, files, grade as grading, lab as labs, probes, readme
from .model import INCONCLUSIVE, GraderError, Lab, Result
from .plain import short
from .progress import Progress
from .screen import times

FILE = "recorded.ini"
SLOW, SOLUTION = "slow.c", "solution"
BENCH_TIME = "300ms"
BENCH_SECONDS = 300
COLUMNS = 100
INCONCLUSIVE_TRIES = 3
Sections = Dict[str, Dict[str, str]]


def record(options: argparse.Namespace) -> int:
    """Measures one lab anew, or checks what stands in its NOTES.md."""
    lab = labs.load(options.root, options.lab)
    path = lab.solution / "NOTES.md"
    if options.check:
        return _said(list(complaints(lab, files.read(path))))
    files.keep(lab.solution / FILE, written(lab, _measured(lab, options)))
    text = files.read(path)
    files.keep(path, readme.replaced(text, readme.RECORDED, recorded(lab), _where(lab, path)))
    print(f"  {files.relative(lab.solution / FILE)} and {files.relative(path)} are written")
    return 0


def readmes(options: argparse.Namespace) -> int:
    """Makes the tables of one README.md from lab.ini, or of all of them and of the repository's."""
    chosen = [labs.load(options.root, options.lab)] if options.lab else labs.all_labs(options.root)
    main = options.root / "README.md"
    fresh: Dict[Path, str] = {}
    for lab in chosen:
        path = lab.path / "README.md"
        fresh[path] = readme.replaced(files.read(path), readme.GRADING, readme.grading_table(lab),
                                      _where(lab, path))
    if not options.lab and main.exists():
        fresh[main] = readme.replaced(files.read(main), readme.LABS, readme.labs_table(chosen),
                                      "README.md")
    changed = [path for path, text in fresh.items() if files.read(path) != text]
    if options.check:
        return _said([f"{files.relative(path)}: its table differs from lab.ini: "
                      "python3 -m graders readme" for path in changed])
    for path in changed:
        files.keep(path, fresh[path])
    print(f"  {', '.join(files.relative(path) for path in changed) or 'nothing'} changed")
    return 0


def complaints(lab: Lab, text: str) -> Iterator[str]:
    """Whether NOTES.md shows what recorded.ini holds."""
    where, again = _where(lab, lab.solution / "NOTES.md"), f"python3 -m graders record {lab.id}"
    body = readme.between(text, readme.RECORDED)
    if body is None:
        yield (f"{where}: lacks a line <!-- {readme.RECORDED} --> and a line "
               f"<!-- {readme.END} --> below it; add both, then: {again}")
    elif not (lab.solution / FILE).exists():
        yield f"{where}: its figures are not recorded: {again}"
    elif body != recorded(lab):
        yield f"{where}: its figures differ from {FILE}: {again}"


def recorded(lab: Lab) -> str:
    """The section of NOTES.md that recorded.ini makes."""
    sections = _sections(lab.solution / FILE)
    run = sections.get("run", {})
    lines = [*_wrapped(
        f"Measured by `python3 -m graders record {lab.id}` on {run.get('date')}: "
        f"{run.get('processor')}, {run.get('system')}, {run.get('compiler')} "
        f"`{run.get('flags')}`, n = {run.get('n')}.", ""), "", table(lab, sections)]
    stopped = [f"`{name}` ({keys['error']})" for name, keys in sections.items() if "error" in keys]
    if stopped:
        lines += [*_wrapped(f"Stopped before any measurement: {', '.join(stopped)}.", ""), ""]
    for probe in _shown(lab, sections):
        lines += _wrapped(f"- `{probe.path.name}`: {_lower(probe.about)}", "  ")
    for name, text in sections.get("benchmarks", {}).items():
        lines += ["", f"The benchmarks of {_named(name)}:", "", "```text", text.strip("\n"), "```"]
    return "\n" + "\n".join(lines) + "\n\n"


def table(lab: Lab, sections: Sections) -> str:
    """A row for slow.c, for the limits, the solution and each probe that was measured."""
    head = ["version"] + ["faster"] * (lab.clock != "none")
    head += [spec.title for spec in lab.evidence] + ["verdict"]
    rows = [_row(lab, f"`{SLOW}`", sections.get(SLOW, {})), _limits(lab),
            _row(lab, "the solution", sections.get(SOLUTION, {}))]
    rows += [_row(lab, f"`{probe.path.name}`", sections.get(probe.path.name, {}))
             for probe in _shown(lab, sections)]
    return readme.table(head, rows)


def written(lab: Lab, sections: Sections) -> str:
    """recorded.ini as text."""
    lines = [f"# Measured by: python3 -m graders record {lab.id}. NOTES.md shows it."]
    for name, keys in sections.items():
        lines += ["", f"[{name}]"]
        for key, value in keys.items():
            first, *more = value.strip("\n").split("\n")
            lines += [f"{key} = {first}"] if not more else \
                [f"{key} =", *(f"    {line}" for line in (first, *more))]
    return "\n".join(lines) + "\n"


def _measured(lab: Lab, options: argparse.Namespace) -> Sections:
    """Every figure, from gradings like those of students."""
    answers = lab.solution / "answers.ini"
    solution = _graded(lab, options, lab.solution / "student.c", answers)
    found = {"run": _facts(lab, solution), SLOW: _slow(solution), SOLUTION: _figures(solution)}
    for probe in probes.read(lab):
        found[probe.path.name] = _figures(_graded(lab, options, probe.path, answers))
    lines = {side: _benchmarks(lab, options, path) for side, path in
             (("slow", lab.path / "slow.c"), (SOLUTION, lab.solution / "student.c"))}
    if any(lines.values()):
        found["benchmarks"] = lines
    return found


def _graded(lab: Lab, options: argparse.Namespace, source: Path, answers: Path) -> Result:
    """One grading; a machine that was too noisy for a moment gets another chance."""
    how = grading.Options(options.root, options.cc, options.opt)
    print(f"  {files.relative(source)} ...", flush=True)
    for _ in range(INCONCLUSIVE_TRIES):
        result = grading.grade(lab, grading.Submission(source, source, answers), how,
                               Progress(False))
        if not result.time or result.time.state != INCONCLUSIVE:
            break
    return result


def _facts(lab: Lab, result: Result) -> Dict[str, str]:
    machine = result.machine
    return {"date": time.strftime("%Y-%m-%d"), "processor":
            f"{machine.processor}, {machine.cores} cores", "system": machine.system,
            "compiler": machine.compiler, "flags": machine.flags, "n": f"{lab.n:,}"}


def _figures(result: Result) -> Dict[str, str]:
    if result.error_kind:
        return {"state": result.state, "error": result.error_kind}
    found = {"state": result.state}
    failed = probes.failed_parts(result)
    if failed:
        found["failed"] = " ".join(failed)
    if result.time:
        found["ratio"] = times(result.time.ratio)
    found.update((spec.spec.name, _value(spec.spec.kind, spec.value)) for spec in result.findings)
    return found


def _slow(result: Result) -> Dict[str, str]:
    return {spec.spec.name: _value(spec.spec.kind, spec.slow_value) for spec in result.findings}


def _value(kind: str, value: Optional[float]) -> str:
    return "" if value is None else f"{value:,.{evidence.KINDS[kind].decimals}f}"


def _benchmarks(lab: Lab, options: argparse.Namespace, source: Path) -> str:
    """The lines of results that the lab's benchmarks print for one version."""
    recipe = build.recipe_for(options.root, options.cc, options.opt)
    program = build.build_bench(lab, source, build.build_trusted(lab, recipe), recipe)
    print(f"  benchmarks of {files.relative(source)} ...", flush=True)
    try:
        done = subprocess.run([str(program), "-benchtime", BENCH_TIME, "-benchmem"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                              timeout=BENCH_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise GraderError(f"the benchmarks of lab {lab.id} did not end in {BENCH_SECONDS} s; "
                          f"make lab{lab.id}-bench shows which one hangs") from None
    lines = [line for line in done.stdout.splitlines() if line.startswith("Benchmark")]
    return "\n".join("  ".join(map(str.strip, line.split("\t"))) for line in lines)


def _row(lab: Lab, name: str, keys: Mapping[str, str]) -> Sequence[str]:
    ratio = [keys.get("ratio", "")] * (lab.clock != "none")
    why = f" ({', '.join(keys['failed'].split())})" if keys.get("failed") else ""
    return [name, *ratio, *(keys.get(spec.name, "") for spec in lab.evidence),
            f"{keys.get('state', '')}{why}"]


def _limits(lab: Lab) -> Sequence[str]:
    """What lab.ini asks for."""
    bar = [f"over {readme.number(lab.bar)}x"] if lab.clock != "none" else []
    return ["what has to hold", *bar, *(readme.limits(spec) for spec in lab.evidence), ""]


def _sections(path: Path) -> Sections:
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",), default_section="",
                                       empty_lines_in_values=False)
    parser.optionxform = str        # type: ignore[assignment,method-assign]
    try:
        parser.read_string(files.read(path))
    except configparser.Error as error:
        raise GraderError(f"{path}: {short(str(error), 120)}; "
                          "write it anew with python3 -m graders record NN") from None
    return {name: dict(parser[name]) for name in parser.sections()}


def _shown(lab: Lab, sections: Sections) -> Sequence[probes.Probe]:
    """The probes that were measured."""
    return [probe for probe in probes.read(lab)
            if "error" not in sections.get(probe.path.name, {})]


def _wrapped(words: str, indent: str) -> Sequence[str]:
    return textwrap.wrap(words, COLUMNS, subsequent_indent=indent, break_on_hyphens=False,
                         break_long_words=False)


def _lower(sentence: str) -> str:
    """A sentence after a colon; names such as POSIX keep their letters."""
    return (sentence[:1].lower() + sentence[1:] if re.match(r"\w[a-z ]", sentence)
            else sentence)


def _named(side: str) -> str:
    return f"`{SLOW}`" if side == "slow" else "the solution"


def _where(lab: Lab, path: Path) -> str:
    return str(path.relative_to(lab.path.parent.parent))


def _said(found: Sequence[str]) -> int:
    for line in found:
        print(f"  {line}")
    return 1 if found else 0
