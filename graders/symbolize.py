"""Gives a profile's addresses what the program itself could not know: source lines, inlined calls.

The compiler's own tool reads the debug information: llvm-symbolizer, or addr2line of binutils; one
process for each file, with all its addresses at once. A file on disk is used only when it is the
one that ran: a build id in the profile must be the file's. What the tool does not know stays as
it was recorded.
"""
from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

from .elf import Elf, NotElf
from .plain import short
from .profile import Function, Line, Location, Mapping, Profile

LLVM_VERSIONS = range(30, 10, -1)   # as Debian calls them when there is no usual one
SECONDS = 60                # for the lines of one file
LLVM = re.compile(r"llvm-symbolizer(-\d+)?")
ADDRESS = re.compile(r"0x[0-9a-f]+")
# What a compiler appends to a function's name when it has split or specialised it.
CLONE = re.compile(r"\.(cold|constprop|isra|part|lto_priv|llvm)(\.\d+)*(?=\.|$)")


@dataclass(frozen=True)
class Frame:
    """A function at a place in its source, as the debug information has it."""
    name: str
    file: str
    line: int


Frames = Tuple[Frame, ...]      # of one address: inlined calls, the innermost first


@dataclass(frozen=True)
class Symbolized:
    profile: Profile
    notes: Tuple[str, ...]      # what could not be used, and why


def symbolize(profile: Profile, tool: Optional[str] = None) -> Symbolized:
    """The profile with the lines and inlined calls that the files on disk tell.

    ``tool`` is the path of addr2line or llvm-symbolizer; without it the machine's one is taken.
    """
    table = _Functions(profile.functions)
    notes: List[str] = []
    found: Dict[int, Frames] = {}
    command = tool or find_tool()
    for mapping in profile.mappings:
        here = [item for item in profile.locations if item.mapping == mapping.id and _open(item)]
        if not here or mapping.has_functions or mapping.has_line_numbers:
            continue
        elf, why = _program(mapping)
        if elf and not command:
            notes.append("inlined functions and lines are not shown: install binutils or llvm")
            break
        notes += [why] if why else []
        if elf and command:
            notes += _blind(command, elf, mapping)
            found.update(_look_up(command, elf, mapping, here))
    locations = tuple(_with_frames(item, found.get(item.id, ()), table)
                      for item in profile.locations)
    return Symbolized(replace(profile, locations=locations, functions=tuple(table.functions)),
                      tuple(notes))


def find_tool() -> Optional[str]:
    """llvm-symbolizer, which reads what every compiler writes, or else addr2line.

    addr2line (binutils 2.40) does not see the inlined calls that clang 14 describes.
    """
    for name in ("llvm-symbolizer", *(f"llvm-symbolizer-{n}" for n in LLVM_VERSIONS), "addr2line"):
        path = shutil.which(name)
        if path:
            return path
    return None


class _Functions:
    """The profile's functions, and new ones as they are needed."""

    def __init__(self, functions: Sequence[Function]) -> None:
        self.functions = list(functions)
        self._new: Dict[Tuple[str, str, str], int] = {}

    def name(self, number: int) -> str:
        return self.functions[number - 1].name

    def id(self, name: str, system_name: str, file: str) -> int:
        key = (name, system_name, file)
        if key not in self._new:
            self._new[key] = len(self.functions) + 1
            self.functions.append(Function(self._new[key], *key))
        return self._new[key]

    def system_name(self, number: int) -> str:
        return self.functions[number - 1].system_name


def _open(location: Location) -> bool:
    """Whether the program left something to be found out."""
    return bool(location.address) and not any(line.line for line in location.lines)


def _program(mapping: Mapping) -> Tuple[Optional[Elf], str]:
    """The mapping's file, if it is still the one that ran; else why not, or "" when it is none."""
    if not mapping.file.startswith("/"):
        return None, ""             # [vdso], //anon, memory without a file
    try:
        path = Path(mapping.file)
        if not path.is_file():
            return None, f"{short(mapping.file, 80)} is gone: names as the program recorded them"
        elf = Elf(path)
    except (OSError, NotElf, ValueError):
        return None, ""
    if mapping.build_id and elf.build_id() != mapping.build_id.lower():
        return None, (f"{short(mapping.file, 80)} was built anew since this profile was taken "
                      "(another build id): names as the program recorded them")
    return elf, ""


def _blind(tool: str, elf: Elf, mapping: Mapping) -> List[str]:
    """What is known not to be seen."""
    if LLVM.fullmatch(os.path.basename(tool)) or b"clang version" not in elf.content(".comment"):
        return []
    return [f"{short(os.path.basename(mapping.file))} was built by clang: install llvm (for "
            "llvm-symbolizer), or inlined functions may be missing"]


def _look_up(tool: str, elf: Elf, mapping: Mapping,
             locations: Sequence[Location]) -> Dict[int, Frames]:
    """The frames of every location, by its id."""
    addresses = {item.id: elf.address(item.address - mapping.start + mapping.offset)
                 for item in locations}
    wanted = sorted({address for address in addresses.values() if address is not None})
    frames = ask(tool, mapping.file, wanted)
    return {number: frames[address] for number, address in addresses.items()
            if address in frames}


def ask(tool: str, file: str, addresses: Sequence[int], bare: bool = False) -> Dict[int, Frames]:
    """What the tool says about the addresses; nothing when it fails. With ``bare`` also names
    without a source line, whose file is "??"."""
    command = [tool, "-e", file, "-f", "-i", "-a", "-C"]
    if LLVM.fullmatch(os.path.basename(tool)):
        command += ["--output-style=GNU"]
    try:
        done = subprocess.run(
            command, input="".join(f"{address:#x}\n" for address in addresses).encode(),
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=SECONDS, check=False,
            env={**os.environ, "LC_ALL": "C", "DEBUGINFOD_URLS": ""})
    except (OSError, subprocess.TimeoutExpired):
        return {}
    return dict(_answers(done.stdout.decode("utf-8", "replace").splitlines(), bare))


def _answers(lines: Sequence[str], bare: bool = False) -> Iterator[Tuple[int, Frames]]:
    """An address, then two lines for each frame: the function, and FILE:LINE."""
    at = 0
    while at < len(lines) and ADDRESS.fullmatch(lines[at]):
        address, at = int(lines[at], 16), at + 1
        frames: List[Frame] = []
        while at + 1 < len(lines) and not ADDRESS.fullmatch(lines[at]):
            file, _, line = lines[at + 1].split(" (discriminator")[0].rpartition(":")
            frames.append(Frame(lines[at], file, int(line) if line.isdigit() else 0))
            at += 2
        if frames and all(frame.name != "??" and (bare or frame.file not in ("", "??"))
                          for frame in frames):
            yield address, tuple(frames)


def _with_frames(location: Location, frames: Frames, table: _Functions) -> Location:
    """The location with the frames in place of what was recorded.

    The outermost function keeps the name that the program gave it, which is the one that people
    know (strlen, where debug information says __strlen_avx2), but for what a compiler appends.
    """
    if not frames:
        return location
    lines = [Line(table.id(frame.name, frame.name, os.path.normpath(frame.file)), frame.line)
             for frame in frames]
    if location.lines:
        recorded = location.lines[-1].function
        name = table.name(recorded)
        if CLONE.sub("", name) != frames[-1].name and name:
            number = table.id(name, table.system_name(recorded),
                              os.path.normpath(frames[-1].file))
            lines[-1] = replace(lines[-1], function=number)
    return replace(location, lines=tuple(lines))
