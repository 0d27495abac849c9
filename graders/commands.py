"""What each command of the command line does. Every function returns the exit code."""
from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import List, Optional, Sequence

from . import board, build, files, lab as labs_module, machine, report, sandbox
from .model import EXIT_CODES, GraderError, Lab, Result
from .plain import in_colour, printable, show
from .progress import FirstLook, Progress

FORMATS = tuple(report.FORMATS)
MARKS = {machine.OK: "ok", machine.NOTE: "note", machine.WARNING: "warning",
         machine.MISSING: "MISSING"}
COLOURS = {machine.OK: "32", machine.NOTE: "2", machine.WARNING: "33", machine.MISSING: "1;31"}


def grade(options: argparse.Namespace) -> int:
    lab = labs_module.load(options.root, options.lab)
    result = _graded(lab, options)
    if options.first_look and sys.stdout.isatty():
        show("\x1b[2J\x1b[H")     # the report has all that the first look said
    report.write(result, options.format, options.output)
    return EXIT_CODES[result.state]


def labs(options: argparse.Namespace) -> int:
    """The board: what the gradings of one's own files said."""
    table = board.rows(options.root)
    if not table:
        raise GraderError(f"no labs in {options.root / 'labs'}: run this in a checkout of perflab")
    show(board.text(table, in_colour()))
    return 0


def hint(options: argparse.Namespace) -> int:
    """The next hint that was not shown yet, or the one that was asked for."""
    lab = labs_module.load(options.root, options.lab)
    counter = _folder(options.root, lab) / "hints"
    number = options.number or min(_shown(counter) + 1, len(lab.hints))
    if not 1 <= number <= len(lab.hints):
        raise GraderError(f"hint {number}: lab {lab.id} has hints 1 to {len(lab.hints)}")
    print(f"\n  Hint {number} of {len(lab.hints)} for lab {lab.id}, {lab.title}\n")
    for line in lab.hints[number - 1].splitlines():
        print(f"    {line}")
    print(f"\n  {_after_hint(lab, number)}\n")
    files.keep(counter, str(max(number, _shown(counter))))
    return 0


def bench(options: argparse.Namespace) -> int:
    """Runs the benchmarks on slow.c and then on the student's file, as benchstat reads them."""
    from . import grade as grading
    lab = labs_module.load(options.root, options.lab)
    source = grading.submission(lab, options.submission).source
    recipe = build.recipe_for(options.root, options.cc, options.opt)
    trusted = build.build_trusted(lab, recipe)
    worst, saved = 0, []
    for name, path in (("slow", lab.path / "slow.c"), ("student", source)):
        program = build.build_bench(lab, path, trusted, recipe)
        saved.append(_folder(options.root, lab) / f"bench-{name}.txt")
        print(f"# {path}, built by {recipe.compiler.name} {' '.join(recipe.flags)}")
        print(f"version: {name}", flush=True)
        worst = max(worst, _run_bench(program, saved[-1], lab.bench_time))
    print(f"# to compare: benchstat {' '.join(map(files.relative, saved))}")
    return worst


def reset(options: argparse.Namespace) -> int:
    """student.c becomes slow.c below its own heading, answers.ini blank; both are kept."""
    lab = labs_module.load(options.root, options.lab)
    own, slow = lab.path / "student.c", files.read(lab.path / "slow.c")
    heading = files.heading(files.read(own)) if own.exists() else ""
    fresh = {own: (heading or files.heading(slow)) + files.code(slow),
             lab.path / "answers.ini": _blank(lab)}
    for path, text in fresh.items():
        kept = _set_aside(options.root, lab, path, text)
        files.keep(path, text)
        print(f"  {files.relative(path)} is as it was shipped"
              + (f"; yours is now {files.relative(kept)}" if kept else ""))
    return 0


def doctor(options: argparse.Namespace) -> int:
    """Every check of the machine, one line each, and the command that mends it."""
    colour = in_colour()
    checks = machine.doctor(options.root, options.cc)
    for check in checks:
        mark = MARKS[check.state].ljust(8)
        if colour:
            mark = f"\x1b[{COLOURS[check.state]}m{mark}\x1b[0m"
        print(f"  {mark}{check.name.ljust(12)}{printable(check.text)}")
        if check.fix:
            print(f"  {'':8}{'':12}-> {check.fix}")
    missing = [check.name for check in checks if check.state == machine.MISSING]
    print(f"\n  {_summary(missing, [check for check in checks if check.state == machine.WARNING])}")
    return 2 if missing else 0


def _graded(lab: Lab, options: argparse.Namespace) -> Result:
    """One grading. A GraderError is a Result for programs that read one, and a line for people."""
    sandbox.require_linux()
    from . import grade as grading
    how = grading.Options(options.root, options.cc, options.opt, options.seed)
    progress = (FirstLook if options.first_look else Progress)(not options.no_progress)
    before = board.fingerprint(lab)
    try:
        result = grading.grade(lab, grading.submission(lab, options.submission), how, progress)
    except GraderError as error:
        if getattr(options, "format", "text") == "text":
            raise
        return grading.unmeasured(lab, options.submission or lab.path, how, error)
    finally:
        progress.clear()
    if options.submission is None:
        board.remember(options.root, lab, result, before)
    return result


def _folder(root: Path, lab: Lab) -> Path:
    return build.cache_folder(root) / lab.id


def _shown(counter: Path) -> int:
    try:
        return int(counter.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0


def _after_hint(lab: Lab, number: int) -> str:
    if number < len(lab.hints):
        return f"The next one says more: make lab{lab.id}-hint"
    return (f"That was the last one. The first ones again: python3 -m graders hint {lab.id} 1")


def _run_bench(program: Path, saved: Path, time: str) -> int:
    """Runs the benchmarks, shows the output as it comes, and keeps it in a file."""
    lines: List[str] = []
    with subprocess.Popen([str(program), "-benchtime", time], stdout=subprocess.PIPE, text=True,
                          errors="replace") as child:
        try:
            for line in child.stdout or ():
                print(line, end="", flush=True)
                lines.append(line)
        except BaseException:
            child.kill()
            raise
    files.keep(saved, "".join(lines))
    if child.returncode < 0:
        raise GraderError(f"the benchmarks crashed (signal {-child.returncode}); "
                          "make labNN says more about the crash")
    return 1 if child.returncode else 0


def _blank(lab: Lab) -> str:
    """answers.ini without its answers, with all that is written around them."""
    path = lab.path / "answers.ini"
    names = {question.name for question in lab.questions}
    lines = files.read(path).splitlines() if path.exists() else []
    found = {line.partition("=")[0].strip() for line in lines}
    if not names <= found or "[answers]" not in found:
        lines = ["[answers]"]
        for question in lab.questions:
            lines += [f"# {question.ask}", f"{question.name} ="]
    return "".join(re.sub(r"^(\s*\w+\s*=).*", r"\1", line) + "\n" for line in lines)


def _set_aside(root: Path, lab: Lab, path: Path, text: str) -> Optional[Path]:
    """Keeps a changed file under saved/, where `make clean` does not look."""
    if not path.exists() or files.read(path) == text:
        return None
    stamp = time.strftime("%Y%m%d-%H%M%S")
    folder = root / "saved" / lab.path.name
    number, kept = 1, folder / f"{stamp}-{path.name}"
    while kept.exists():
        number += 1
        kept = folder / f"{stamp}-{number}-{path.name}"
    files.keep(kept, files.read(path))
    return kept


def _summary(missing: Sequence[str], warnings: Sequence[machine.Check]) -> str:
    if missing:
        return f"Labs cannot be graded here: {', '.join(missing)}."
    if warnings:
        return "Labs can be graded here. Mend the warnings for quicker and surer verdicts."
    return "Labs can be graded here, and nothing disturbs."
