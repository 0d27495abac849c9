"""Names for the stacks of a ring file, from the files that the program was loaded from."""
from __future__ import annotations

import os
import re
from bisect import bisect_right
from pathlib import Path
from typing import Dict, Iterable, List, Optional, Set, Tuple

from . import symbolize
from .elf import Elf, NotElf
from .plain import short
from .ring import Module, Ring

FRAMES = 32                 # of a stack as it is written
MARKS = 16                  # smaller addresses are marks
TRUNCATED = 2
NEWEST = -1                 # the epoch of what was loaded last
OFFSET = re.compile(r"\+0x[0-9a-f]+$")


class Stacks:
    """What the addresses are, asked once for each file."""

    def __init__(self, ring: Ring, sites: Iterable[int], calls: Iterable[int] = ()) -> None:
        self._ring = ring
        self._modules = ring.modules()
        self._sites = {address: ring.site(address) for address in sites}
        self._frames: Dict[Tuple[int, int], Tuple[str, ...]] = {}
        self._texts: Dict[int, str] = {}
        self._nameless: Set[str] = set()
        wanted: Dict[Module, List[Tuple[int, int]]] = {}
        places = [(site.epoch, pc) for site in self._sites.values() for pc in site.pcs[:FRAMES]]
        for epoch, pc in places + [(NEWEST, pc) for pc in calls]:
            module = self._module(pc, epoch)
            if module and (epoch, pc) not in self._frames:
                self._frames[epoch, pc] = (_offset(module, pc),)
                self._nameless.add(_offset(module, pc))
                wanted.setdefault(module, []).append((epoch, pc))
        self._tool = symbolize.find_tool()
        for module, places in wanted.items():
            self._ask(module, places)

    def text(self, address: int) -> str:
        """A stack as it stands in a trace: leaf (file.c:42) < caller (...) < ..."""
        if address not in self._texts:
            site = self._sites.get(address)
            frames = [frame for pc in (site.pcs if site else ())
                      for frame in self._at(pc, site.epoch if site else 0)]
            self._texts[address] = " < ".join(frames[:FRAMES])
        return self._texts[address]

    def call(self, pc: int) -> str:
        """The stack of one function that is known of a call which still lasted."""
        return " < ".join(self._at(pc, NEWEST)) if pc else ""

    def leaf(self, address: int) -> str:
        """The innermost function, without its line; "" when there is no stack."""
        frame = self.text(address).partition(" < ")[0]
        return frame if frame in self._nameless else _bare(frame)

    def function(self, address: int) -> str:
        """The name of a function that begins at this address, "" when it is not known."""
        module = self._module(address, 0) if address else None
        if not module:
            return ""
        if (0, address) not in self._frames:
            self._frames[0, address] = ("",)
            self._ask(module, [(0, address)])
        return _bare(self._frames[0, address][-1])

    def _at(self, pc: int, epoch: int) -> Tuple[str, ...]:
        if pc < MARKS:
            return ("...",) if pc == TRUNCATED else ()
        return self._frames.get((epoch, pc), (f"{pc:#x}",))

    def _module(self, pc: int, epoch: int) -> Optional[Module]:
        """What was loaded there at that time, or else at any."""
        found = [module for module in self._modules if module.start <= pc < module.end]
        return next((module for module in found if module.epoch == epoch),
                    found[-1] if found else None)

    def _ask(self, module: Module, places: List[Tuple[int, int]]) -> None:
        """Asks for all addresses of a file at once."""
        elf, why = _program(module)
        if why and why not in self._ring.notes:
            self._ring.notes.append(why)
        if not elf:
            return
        at = {place: elf.address(place[1] - module.start + module.offset) for place in places}
        wanted = sorted({address for address in at.values() if address is not None})
        answers = symbolize.ask(self._tool, module.path, wanted) if self._tool else {}
        functions = elf.functions()
        for place, address in at.items():
            if address is None:
                continue
            frames = tuple(f"{frame.name} ({os.path.basename(frame.file)}:{frame.line})"
                           for frame in answers.get(address, ()) if frame.line)
            self._frames[place] = frames or _symbol(functions, address) or self._frames[place]


def _symbol(functions: List[Tuple[int, int, str]], address: int) -> Tuple[str, ...]:
    """The function that an address is in, with its distance: leaf+0x1c."""
    at = bisect_right(functions, (address, 1 << 63, "")) - 1
    if at < 0 or address >= functions[at][0] + max(functions[at][1], 1):
        return ()
    return (f"{functions[at][2]}+{address - functions[at][0]:#x}",)


def _bare(frame: str) -> str:
    """A frame's function."""
    return OFFSET.sub("", frame.partition(" (")[0])


def _offset(module: Module, pc: int) -> str:
    return f"{os.path.basename(module.path)}+{pc - module.start + module.offset:#x}"


def _program(module: Module) -> Tuple[Optional[Elf], str]:
    """The module's file, if it is the one that ran; or why not."""
    if not module.path.startswith("/"):
        return None, ""
    try:
        path = Path(module.path)
        if not path.is_file():
            return None, f"{short(module.path, 80)} is gone: its functions have no names"
        elf = Elf(path)
    except (OSError, NotElf, ValueError):
        return None, ""
    if module.build_id and elf.build_id() != module.build_id.lower():
        return None, (f"{short(module.path, 80)} was built anew since the program ran (another "
                      "build id): its functions have no names")
    return elf, ""
