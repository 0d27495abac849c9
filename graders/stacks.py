"""Completes a crash report, or the stacks of all threads: names, source lines, inlined calls.

What a stripped program could say of itself is a module, an address in its file, and a build id:

    #0   0x00005643c1d0a1b3  [search+0x11a0]+0x13  /home/me/search+0x11b3
    ...
    modules:
    0x00005643c1d09000-0x00005643c1d0e000  /home/me/search  build id 5d0c...

With the program's own file, or its separate debug file, this becomes

    #0   0x00005643c1d0a1b3  parse  /home/me/search.c:42  /home/me/search+0x11b3

A file counts only if its build id is the one in the report. All other lines stay as they are.
"""
from __future__ import annotations

import argparse
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence, Set, Tuple

from . import symbolize
from .elf import Elf, NotElf
from .model import GraderError
from .plain import printable, short, show

SYSTEM = Path("/usr/lib/debug")
MAX_BYTES = 64 << 20    # of a report
MAX_FILES = 10_000      # looked at in one folder
# number or blanks, address, function, perhaps a source line, module and address in its file
FRAME = re.compile(
    r"(?P<before>.*?)(?P<number>#\d+ +| {5})(?P<pc>0x[0-9a-f]{16})  (?P<name>\S.*?)  "
    r"(?:(?P<line>\S.*:\d+)  )?(?P<module>[/\[].*)\+0x(?P<address>[0-9a-f]+)$")
REPEATED = re.compile(r".* {5}\.\.\. the same (\d+) times more$")
MODULE = re.compile(r".*?0x[0-9a-f]{16}-0x[0-9a-f]{16}  (?P<path>.+)  "
                    r"build id (?P<id>[0-9a-f]+|none)$")
OFFSET = re.compile(r"\+0x[0-9a-f]+$")


@dataclass(frozen=True)
class Module:
    """A program or library of the report."""
    path: str
    build_id: str           # "" when it has none

    @property
    def name(self) -> str:
        return short(self.path.rsplit("/", 1)[-1])


Answers = Dict[Tuple[str, int], symbolize.Frames]


def command(options: argparse.Namespace) -> int:
    """symbolize REPORT: prints the report, completed."""
    for folder in options.debug or ():
        if not folder.is_dir():
            raise GraderError(f"--debug {folder}: there is no such folder; name the one with the "
                              "debug files")
    text = _read(options.report)
    made, notes = complete(text, options.debug or ())
    show(printable(made))
    show("".join(f"Note: {note}\n" for note in notes))
    return 0


def complete(text: str, folders: Sequence[Path],
             tool: Optional[str] = None) -> Tuple[str, Tuple[str, ...]]:
    """The report with what the files on disk tell, and notes about what they do not.

    ``folders`` are searched before the places where systems keep debug files; ``tool`` is the path
    of addr2line or llvm-symbolizer.
    """
    lines = text.splitlines()
    wanted = _wanted(lines)
    if not wanted:
        if any(FRAME.match(line) for line in lines):
            return text, ()         # nothing is missing
        raise GraderError("no stack in the report: give one of pl_crash_install or pl_stacks_write")
    asked = tool or symbolize.find_tool()
    if not asked:
        raise GraderError("neither llvm-symbolizer nor addr2line is here: install llvm or binutils")
    answers: Answers = {}
    lacking: List[Module] = []
    modules = _modules(lines)
    for path in wanted:
        module = modules.get(path, Module(path, ""))
        file = _debug_file(module, folders)
        if file is None:
            lacking += [module] if path.startswith("/") else []
            continue
        for address, frames in symbolize.ask(asked, str(file), sorted(wanted[path]),
                                             bare=True).items():
            answers[path, address] = frames
    made = "\n".join(_completed(lines, answers))
    return made + "\n", tuple(_notes(lacking, list(modules)))


def _read(path: Path) -> str:
    """The report; "-" is standard input."""
    try:
        if str(path) == "-":
            data = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise GraderError(f"{path}: cannot be read: {error.strerror}; name the file that has the "
                          "report") from None
    if len(data) > MAX_BYTES:
        raise GraderError(f"{path}: more than {MAX_BYTES >> 20} MiB is no report")
    return data.decode("utf-8", "replace")


def _wanted(lines: Sequence[str]) -> Dict[str, Set[int]]:
    """The addresses without a source line, by module."""
    wanted: Dict[str, Set[int]] = {}
    for line in lines:
        frame = FRAME.match(line)
        if frame and not frame["line"]:
            wanted.setdefault(frame["module"], set()).add(int(frame["address"], 16))
    return wanted


def _modules(lines: Sequence[str]) -> Dict[str, Module]:
    """The modules of the report by path; the program is the first."""
    found = (MODULE.match(line) for line in lines)
    return {match["path"]: Module(match["path"], "" if match["id"] == "none" else match["id"])
            for match in found if match}


# the files ----------------------------------------------------------------------------------------


def _debug_file(module: Module, folders: Sequence[Path]) -> Optional[Path]:
    """The file that knows most about a module: lines, or else names; None when there is none."""
    named: Optional[Path] = None
    for path in _candidates(module, folders):
        elf = _opened(path, module)
        if elf and elf.content(".debug_line"):
            return path
        if elf and elf.content(".symtab"):
            named = named or path
    return named


def _candidates(module: Module, folders: Sequence[Path]) -> Iterator[Path]:
    """Where its file or debug file may be, the likeliest first."""
    own = Path(module.path)
    for folder in folders:
        yield from _by_id(folder, module)
        yield folder / f"{own.name}.debug"
        yield folder / own.name
        yield from sorted(folder.iterdir())[:MAX_FILES]
    if own.is_absolute():
        yield own
        yield from (own.with_name(f"{own.name}.debug"), own.parent / ".debug" / f"{own.name}.debug",
                    SYSTEM / str(own.parent).lstrip("/") / f"{own.name}.debug")
    yield from _by_id(SYSTEM, module)


def _by_id(folder: Path, module: Module) -> Iterator[Path]:
    """As debuggers keep them: .build-id/5d/0c....debug."""
    if len(module.build_id) > 2:
        name = Path(module.build_id[:2], f"{module.build_id[2:]}.debug")
        yield from (folder / ".build-id" / name, folder / name)


def _opened(path: Path, module: Module) -> Optional[Elf]:
    """The file, if it is of that build. Of a module without a build id the name has to do."""
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            if file.read(4) != b"\x7fELF":
                return None
        elf = Elf(path)
    except (OSError, NotElf, ValueError):
        return None
    if module.build_id:
        return elf if elf.build_id() == module.build_id else None
    return elf if path.name.split(".debug")[0] == Path(module.path).name else None


def _notes(lacking: Sequence[Module], paths: Sequence[str]) -> Iterator[str]:
    """What could not be completed: the program by itself, the libraries together."""
    for module in lacking:
        if paths and module.path == paths[0]:
            yield (f"{module.name}: no file with build id {module.build_id or 'none'} and debug "
                   "information was found: name its folder with --debug")
    libraries = [module.name for module in lacking if not paths or module.path != paths[0]]
    if libraries:
        yield (f"no debug information for {', '.join(libraries)}: install their debug packages, or "
               "name their folder with --debug")


# the text -----------------------------------------------------------------------------------------


def _completed(lines: Sequence[str], answers: Answers) -> Iterator[str]:
    """The lines of the report. Frames are numbered anew, since inlined calls count too."""
    number = 0
    for line in lines:
        frame, repeated = FRAME.match(line), REPEATED.match(line)
        if not frame:
            number += int(repeated[1]) if repeated else 0
            yield line
            continue
        if frame["number"].startswith("#0 "):
            number = 0
        numbered = frame["number"].startswith("#")
        for text in _frame(frame, answers):
            label = f"#{number:<3d} " if numbered else frame["number"]
            yield f"{frame['before']}{label}{frame['pc']}  {text}"
            number += numbered


def _frame(frame: "re.Match[str]", answers: Answers) -> Iterator[str]:
    """What stands behind the address, for each function there: inlined ones first."""
    place = f"{frame['module']}+0x{frame['address']}"
    found = answers.get((frame["module"], int(frame["address"], 16)), ())
    if frame["line"] or not found:
        line = f"{frame['line']}  " if frame["line"] else ""
        yield f"{frame['name']}  {line}{place}"
        return
    for inner in found[:-1]:
        yield f"{inner.name} (inlined)  {_line(inner)}{place}"
    # The name that the program knew stays, with its offset; [module+0x1234] is none.
    name = found[-1].name if frame["name"].startswith("[") else frame["name"]
    yield f"{name}  {_line(found[-1])}{place}"


def _line(frame: symbolize.Frame) -> str:
    known = frame.file not in ("", "??")
    return f"{os.path.normpath(frame.file)}:{frame.line}  " if known else ""
