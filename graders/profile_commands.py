"""The commands that look at profiles: top, list, and profile for a lab."""
from __future__ import annotations

import argparse
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Tuple

from . import build, grade, lab as labs, lab_profile, pprof, profile as profiles, views
from .model import GraderError
from .plain import in_colour, show
from .profile import Profile
from .progress import Progress
from .symbolize import symbolize

LAB_ROWS = 15       # of a lab's top table


@dataclass(frozen=True)
class _Opened:
    """What the files on the command line amount to."""
    profile: Profile
    index: int                  # the column of values that is shown
    notes: Tuple[str, ...]


def top(options: argparse.Namespace) -> int:
    opened = _open(options)
    shown = opened.profile
    if options.from_:
        shown = profiles.below(shown, options.from_)
    if options.focus:
        shown = profiles.focused(shown, options.focus)
    table = views.top(shown, opened.profile, opened.index, options.count, options.cum,
                      options.lines, opened.notes)
    show(views.top_text(table, in_colour()))
    return 0


def list_source(options: argparse.Namespace) -> int:
    opened = _open(options)
    found = views.listings(opened.profile, opened.index, options.function)
    show("".join(f"Note: {note}\n" for note in opened.notes))
    show(views.list_text(opened.profile, profiles.total(opened.profile, opened.index),
                         opened.index, found, in_colour()))
    return 0


def profile(options: argparse.Namespace) -> int:
    """Profiles the benchmarks on slow.c, or on the student's file, and shows the top table, or what
    they leave behind."""
    lab = labs.load(options.root, options.lab)
    mine = options.mine or options.submission is not None
    side = "student" if mine else "slow"
    source = grade.submission(lab, options.submission).source if mine else lab.path / "slow.c"
    recipe = build.recipe_for(options.root, options.cc, options.opt)
    progress = Progress()
    progress.say("building ...")
    trusted = build.build_trusted(lab, recipe)
    program = build.build_bench(lab, source, trusted, recipe)
    progress.say(f"profiling the benchmarks on {source.name}, some seconds ...")
    if lab.profile == "leaks":
        found = lab_profile.leaks(program, trusted.contract)
        progress.clear()
        show(f"{_relative(source)}, every benchmark run once\n\n{found}")
        show("See more:\n  {}   {}\n".format(*_other_side(lab.id, mine)))
        return 0
    saved = lab_profile.kept_profile(options.root, lab, side)
    lab_profile.take(program, saved)
    progress.clear()
    show(f"{_relative(source)}, built by {recipe.compiler.name} {' '.join(recipe.flags)}\n")
    functions = sorted(trusted.contract)
    names = "|".join(map(re.escape, functions))
    heaviest = _show_top(saved, f"^({names})$|(^|/){re.escape(source.name)}$")
    own = [name for name in heaviest if name in trusted.contract] or functions
    show(_more(lab.id, _relative(saved), own[0], mine))
    return 0


def _show_top(path: Path, functions: str) -> Tuple[str, ...]:
    """The table as it looks from the lab's functions, and from threads that begin in its file: what
    the harness does is no one's question. Percentages are of the whole profile. Returns the names
    in it, the one with the most time first."""
    named = symbolize(pprof.read(path))
    whole, notes = profiles.pruned(named.profile), named.notes
    index = whole.index()
    part = profiles.below(whole, functions)
    if 2 * profiles.total(_complete(whole, functions), index) < profiles.total(whole, index):
        part = whole
        notes += ("most stacks end before they reach the lab's functions, so cum says little",)
    table = views.top(part, whole, index, LAB_ROWS, by_cum=True, notes=notes)
    show(views.top_text(table, in_colour()))
    return tuple(row.name for row in table.rows)


def _complete(whole: Profile, functions: str) -> Profile:
    """The stacks that reach the lab's functions, or the beginning of the program: those that do
    only the latter are of the harness, and nothing is missing from them."""
    return profiles.below(whole, f"{functions}|^pl_bench_main$")


def _more(number: str, path: str, function: str, mine: bool) -> str:
    """Where the profile is, and what else can be asked of it."""
    other = _other_side(number, mine)
    rows = [(f"python3 -m graders list {path} {function}", "line by line"),
            (f"go tool pprof -http=: {path}", "as a graph, where Go is installed"), other]
    width = max(len(command) for command, _ in rows)
    return "\n".join([f"\nThe profile is {path}. See more:",
                      *(f"  {command:{width}}   {words}" for command, words in rows), ""])


def _other_side(number: str, mine: bool) -> Tuple[str, str]:
    """The command that profiles the other version, and which that is."""
    return (f"make lab{number}-profile", "the slow version") if mine else \
        (f"make lab{number}-profile MINE=1", "your version")


def _relative(path: Path) -> str:
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def _open(options: argparse.Namespace) -> _Opened:
    """The files merged, without the base, with names and lines from the files that ran."""
    profile = profiles.merged([pprof.read(path) for path in options.files])
    if options.base:
        profile = profiles.difference(
            profile, profiles.merged([pprof.read(path) for path in options.base]))
    if not profile.sample_types:
        raise GraderError(f"{options.files[0]}: has no sample types: there is nothing to show")
    notes: Tuple[str, ...] = ()
    if not options.as_recorded:
        named = symbolize(profile)
        profile, notes = named.profile, named.notes
    return _Opened(profiles.pruned(profile), profile.index(options.sample), notes)
