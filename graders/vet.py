"""Looks at a student's file before it runs: what it includes, assembles, defines and refers to.

These checks exist for clear messages; the process boundary is the defence. A file that would
replace the C library's or the grader's functions, run code before main, or pull in files that are
not the lab's, would measure or print something other than its own work.
"""
from __future__ import annotations

import os
import re
from pathlib import Path
from typing import FrozenSet, Iterator, List, Sequence, Set, Tuple

from .compiler import Compiler, Finished
from .elf import Elf, NotElf
from .model import GraderError, SubmissionError
from .plain import short

# Sections whose content the C library calls before main and after it, by name and by type.
STARTUP = re.compile(r"\.(preinit_array|init_array|fini_array|ctors|dtors|init|fini)(\..*)?$")
STARTUP_KINDS = (14, 15, 16)
DIRECTIVE = re.compile(r"(?:^|[;:])\s*\.(incbin|include|macro|irpc?)\b", re.M)
# A path that starts at the root, or climbs. The compiler is asked too, but reading /dev/zero takes
# it a while.
ELSEWHERE = re.compile(r'^[ \t]*#[ \t]*\w+[ \t]*[<"](/[^">\n]*|[^">\n]*\.\.[^">\n]*)[">]', re.M)
STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"')
PLACE = re.compile(r"^student\.c:(\d+)(?::\d+)?: (?:fatal )?error: (.*)$", re.M)
UNDEFINED = re.compile(r"undefined (?:reference to|symbol:?) [`']?([\w.]+)")
DETAIL_LINES = 10


def names(program: Path, side: Path, workload: Path,
          compiler: Compiler) -> Tuple[FrozenSet[str], FrozenSet[str]]:
    """The names that a student's file may not define, and those that it has to.

    Taken is every name in a program linked from slow.c, and every name that its libraries offer,
    but for slow.c's own. The contract is what workload.c needs from slow.c.
    """
    own = defined(side)
    whole = Elf(program)
    taken = {symbol.name for symbol in whole.symbols()}
    for library in _libraries(whole, program.parent, compiler):
        taken |= {symbol.name for symbol in library.symbols(dynamic=True) if symbol.defined}
    contract = own & {symbol.name for symbol in Elf(workload).symbols() if not symbol.defined}
    if not contract:
        raise GraderError(f"{workload.name[:-2]}.c calls no function that slow.c defines; "
                          "workload_run has to call the one that lab.h names")
    return frozenset(taken - own - {""}), frozenset(contract)


def check_includes(work: Path, source: str, compiler: Compiler, flags: Sequence[str]) -> None:
    """Refuses files from elsewhere, before a compiler can quote them in its messages."""
    text = (work / source).read_text(encoding="utf-8", errors="replace")
    for elsewhere in ELSEWHERE.findall(text):
        raise _foreign(elsewhere)
    done = compiler.run([*flags, "-M", "-MG", source], work)
    if done.status:
        own = [line for line in done.err.splitlines() if line.startswith("student.c:")]
        raise compile_error(Finished(done.status, "", "\n".join(own) if not done.ran_out
                                     else done.err))
    allowed = (Path(os.path.realpath(work)), *compiler.system_includes)
    for name in _prerequisites(done.out):
        path = Path(os.path.realpath(work / name))
        if path.exists() and not any(folder in path.parents for folder in allowed):
            raise _foreign(name)


def check_assembly(path: Path) -> None:
    """Refuses assembler directives that read files, or could hide one that does."""
    text = STRING.sub('""', path.read_text(encoding="utf-8", errors="replace"))
    found = DIRECTIVE.search(text)
    if found:
        raise SubmissionError("forbidden", f"your code uses the assembler directive .{found[1]}; "
                              "a lab's code may not read files while it is compiled")


def check_object(path: Path, taken: FrozenSet[str], contract: FrozenSet[str]) -> None:
    """Refuses definitions of names that are taken, and code that runs before main."""
    try:
        elf = Elf(path)
    except NotElf as error:
        raise GraderError(f"the compiler made something else than an ELF object ({error}); "
                          "choose another with --cc (make: CC=)") from None
    for section in elf.sections:
        if STARTUP.match(section.name) or section.kind in STARTUP_KINDS:
            raise SubmissionError(
                "forbidden", f"your code has a constructor or destructor (section {section.name}): "
                "it would run outside the measured function; call it from that function")
    for symbol in elf.symbols():
        if symbol.indirect:
            raise SubmissionError(
                "forbidden", f"'{symbol.name}' is an ifunc, whose resolver would run outside the "
                "measured function; call the version you want directly")
        if symbol.defined and symbol.name in taken:
            raise SubmissionError("forbidden", _taken(symbol.name))
        if not symbol.defined and symbol.name.startswith("workload_"):
            raise SubmissionError(
                "forbidden", f"your code calls {symbol.name}, which belongs to the grader; "
                "do the work in your own functions")
    check_contract(path, contract)


def check_contract(path: Path, contract: FrozenSet[str]) -> None:
    """Refuses an object without the functions of lab.h."""
    missing = sorted(contract - defined(path))
    if missing:
        raise SubmissionError("link", f"your code does not define {_list(missing)}; lab.h says "
                              "how it is declared (not static, and spelled exactly so)")


def compile_error(done: Finished) -> SubmissionError:
    """The compiler's words, the first few of them."""
    if done.ran_out:
        return SubmissionError("compile", "compiling your code takes too much time or memory; "
                               "look for huge arrays and for macros that multiply")
    lines = [line for line in done.err.splitlines() if not line.startswith("In file included")]
    first = PLACE.search(done.err)
    message = (f"student.c does not compile: line {first[1]}: {short(first[2], 120)}" if first
               else "student.c does not compile")
    return SubmissionError("compile", message, "\n".join(_shorten(lines)))


def link_error(done: Finished) -> SubmissionError:
    """Functions that are called and defined nowhere, or whatever else the linker says."""
    missing = sorted(set(UNDEFINED.findall(done.err)))
    if missing:
        return SubmissionError(
            "link", f"your code calls {_list(missing)}, which is defined nowhere; "
            "check the spelling, or add the function")
    lines = [re.sub(r"\S*/", "", line) for line in done.err.splitlines()]
    return SubmissionError("link", "your code does not link", "\n".join(_shorten(lines)))


def _foreign(name: str) -> SubmissionError:
    return SubmissionError(
        "forbidden", f"your code includes {short(name, 60)}, which is neither a file of this lab "
        "nor a header of the system; include lab.h and standard headers only")


def defined(path: Path) -> Set[str]:
    """The names that an object file defines."""
    return {symbol.name for symbol in Elf(path).symbols() if symbol.defined}


def _libraries(program: Elf, folder: Path, compiler: Compiler) -> Iterator[Elf]:
    """The shared libraries of a program; the interpreter is one, and musl's only one."""
    paths = [compiler.library(name, folder) for name in program.needed()]
    for path in [*paths, program.interpreter()]:
        try:
            if path:
                yield Elf(path)
        except (NotElf, OSError):
            continue


def _prerequisites(rule: str) -> List[str]:
    """The files in a make rule, as compilers write it: blanks escaped, lines continued."""
    _, _, files = rule.replace("\\\n", " ").partition(":")
    return [re.sub(r"\\(.)", r"\1", name).replace("$$", "$")
            for name in re.findall(r"(?:\\.|[^\s\\])+", files)]


def _taken(name: str) -> str:
    if name == "main":
        return "your code defines main; a lab's file holds only the function of lab.h and helpers"
    return (f"your code defines '{name}', a name of the C library or of the grader: it would "
            "replace that function for the whole program; give it another name, or make it static")


def _list(found: Sequence[str]) -> str:
    return ", ".join(f"'{short(name)}'" for name in found[:3])


def _shorten(lines: Sequence[str]) -> List[str]:
    if len(lines) <= DETAIL_LINES:
        return list(lines)
    return [*lines[:DETAIL_LINES - 1], f"({len(lines) - DETAIL_LINES + 1} more lines)"]
