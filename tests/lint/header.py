"""Rules about perflab.h: its order, its names, its budgets, its comments."""
from __future__ import annotations

import re
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

import metrics
from repo import Offence, Repo, numbered

HEADER = "perflab.h"
LINES, SECTION_LINES, API_LINES, COLUMNS = 26_000, 900, 1_300, 100
MEDIAN, P90, LONGEST = 10, 30, 80
COMMENTS = (25, 35)

PLATFORM = re.compile(
    r"\b(__linux__|__linux|__APPLE__|_WIN32|_WIN64|__unix__|__ANDROID__|__FreeBSD__|__NetBSD__|"
    r"__OpenBSD__|__CYGWIN__|__x86_64__|__i386__|__aarch64__|__arm__|__riscv|__powerpc64__|"
    r"__s390x__|__GLIBC__|__GLIBC_PREREQ|__ELF__|__MACH__)\b")

KEYWORDS = set("if while for switch return sizeof do else case defined asm volatile typeof "
               "_Alignof _Atomic _Generic _Static_assert __asm__ __volatile__ __attribute__ "
               "__extension__ __typeof__ __alignof__ offsetof ElfW".split())
# What POSIX and glibc call async-signal-safe and perflab uses, the program's own handlers, and
# builtins that never call out.
SIGNAL_SAFE = set("memcpy memset memmove memcmp strlen clock_gettime write read open close _exit "
                  "getpid kill raise sigaction sigprocmask pthread_sigmask sigemptyset sigfillset "
                  "sigaddset sigdelset sigismember syscall abort sem_post poll "
                  "_dl_find_object sa_handler sa_sigaction".split())
SAFE_PREFIXES = ("atomic_", "__atomic_", "__builtin_", "__sync_")


class Section(NamedTuple):
    """The lines from one tag to the next."""
    name: str
    first: int
    last: int


class Layout(NamedTuple):
    """Where the parts of the header are, by line."""
    contents: Tuple[str, ...]       # tags named in the opening comment
    opening: int                    # last line of that comment
    api: Tuple[int, int]
    sections: Tuple[Section, ...]   # the tags that head a part, the API's too


@lru_cache(maxsize=8)
def layout(text: str) -> Layout:
    """Finds the opening comment, the API and the tagged sections."""
    lines = numbered(text)
    guard = first_line(lines, r"#\s*ifndef\s+\w+_H\b", 0)
    implementation = first_line(lines, r"#\s*ifdef\s+PERFLAB_IMPL\b", guard)
    contents = [match.group(1) for no, line in lines if no < guard
                for match in [re.match(r"\s*>>(\w+)", line)] if match]
    starts = [(no, match.group(1)) for no, line in lines
              for match in [re.match(r"/\* =+ >>(\w+)", line)] if match]
    ends = [no - 1 for no, _ in starts[1:]] + [len(lines)]
    sections = [Section(tag, no, end) for (no, tag), end in zip(starts, ends)]
    return Layout(tuple(contents), guard - 1, (guard, implementation - 1), tuple(sections))


def first_line(lines: List[Tuple[int, str]], pattern: str, after: int) -> int:
    """The first line after another that begins so; past the end when there is none."""
    return next((no for no, line in lines if no > after and re.match(pattern, line)),
                len(lines) + 1)


def header(repo: Repo) -> str:
    """The header's text; a repository without it has nothing to check."""
    return repo.files.get(HEADER, "")


def contents_equal_tags(repo: Repo) -> Iterator[Offence]:
    """The contents list names every section, in order, and nothing else."""
    parts = layout(header(repo))
    tags = [section.name for section in parts.sections]
    if header(repo) and list(parts.contents) != tags:
        yield Offence(HEADER, 0, f"the contents list says {' '.join(parts.contents) or 'nothing'}, "
                      f"the sections are {' '.join(tags) or 'not tagged'}: make them equal")


def section_at(text: str, line: int) -> str:
    """The tag that a line belongs to; "" before the first."""
    return next((section.name for section in layout(text).sections
                 if section.first <= line <= section.last), "")


def platform_conditionals(repo: Repo) -> Iterator[Offence]:
    """#if on system or processor only inside >>platform and >>processor (and for API macros)."""
    text = header(repo)
    for match in re.finditer(r"^[ \t]*#[ \t]*(?:if|elif)(?:\\\n|[^\n])*", text, re.MULTILINE):
        line = metrics.line_of(text, match.start())
        name = PLATFORM.search(match.group(0))
        if name and section_at(text, line) not in ("platform", "processor", "api"):
            yield Offence(HEADER, line, f"#if on {name.group(0)} outside >>platform: "
                          "put a pli_os_ function there")


# signal safety ------------------------------------------------------------------------------------


def macro_bodies(code: str) -> Dict[str, str]:
    """Macros by name, with their expansions: a call can hide in one."""
    pattern = r"^[ \t]*#[ \t]*define[ \t]+(\w+)((?:\\\n|[^\n])*)"
    return {match.group(1): match.group(2)
            for match in re.finditer(pattern, code, re.MULTILINE)}


def calls(body: str, macros: Dict[str, str], seen: Tuple[str, ...] = ()) -> Set[str]:
    """Names that a body calls, macros of our own looked through."""
    found: Set[str] = set()
    for name in re.findall(r"\b([A-Za-z_]\w*)\s*\(", body):
        if name in macros and name not in seen:
            expansion = re.sub(r"^\([^)]*\)", "", macros[name])
            found |= calls(expansion, macros, (*seen, name))
        elif name not in KEYWORDS and name not in seen:
            found.add(name)
    return found


def signal_safe(name: str) -> bool:
    """Whether a function ending in _sig may call it."""
    return name.endswith("_sig") or name in SIGNAL_SAFE or name.startswith(SAFE_PREFIXES)


def signal_functions(repo: Repo) -> Iterator[Offence]:
    """Functions ending in _sig call only each other, atomics and an allow-list."""
    source = metrics.scan(header(repo))
    macros = macro_bodies(source.code)
    for function in metrics.functions(source):
        if function.name.endswith("_sig"):
            for name in sorted(calls(function.body, macros)):
                if not signal_safe(name):
                    yield Offence(HEADER, function.line, f"{function.name} may run in a signal "
                                  f"handler but calls {name}: call a _sig function instead")


# names --------------------------------------------------------------------------------------------


def forward_declarations(repo: Repo) -> Iterator[Offence]:
    """Private functions are defined before they are used, so that the compiler keeps the layers."""
    text = header(repo)
    api_end = layout(text).api[1]
    code = metrics.without_directives(metrics.scan(text).code)
    for head, start, end, brace in metrics.top_level(code):
        match = re.search(r"\b(pli_\w+)\s*\(", head)
        line = metrics.line_of(code, start + len(head) - len(head.lstrip()))
        if brace < 0 and match and line > api_end and is_prototype(head):
            yield Offence(HEADER, line, f"forward declaration of {match.group(1)}: "
                          "move the definition up")


def is_prototype(head: str) -> bool:
    """Whether a statement at top level declares a function of ours: no value, pointer, alias."""
    if re.match(r"\s*(typedef\b|PL_|PLI_|_Static_assert|struct\s+\w+\s*$)", head):
        return False
    if re.match(r"\s*extern\b.*__asm__", head, re.DOTALL):
        return False        # somebody else's function under a name of ours
    compact = head.replace(" ", "")
    return not any(sign in compact for sign in ("=", "(*", "alias("))


MACRO_PREFIXES = ("PL_", "PLI_", "PERFLAB_")
FEATURE_MACROS = {"_GNU_SOURCE", "_DARWIN_C_SOURCE", "_POSIX_C_SOURCE"}


def macro_names(repo: Repo) -> Iterator[Offence]:
    """Macros begin with PL_, PLI_ or PERFLAB_."""
    for number, line in numbered(metrics.scan(header(repo)).code):
        match = re.match(r"\s*#\s*define\s+(\w+)", line)
        if match and not match.group(1).startswith(MACRO_PREFIXES) \
                and match.group(1) not in FEATURE_MACROS:
            yield Offence(HEADER, number, f"macro {match.group(1)}: call it PL_ (public), PLI_ "
                          "(private) or PERFLAB_ (configuration)")


def type_names(repo: Repo) -> Iterator[Offence]:
    """Types and functions begin with pl_ or pli_; an interposed function has libc's name."""
    text = header(repo)
    source = metrics.scan(text)
    opening = opening_comment(text)
    for match in re.finditer(r"\b(?:struct|union|enum)\s+(\w+)\s*\{", source.code):
        if not match.group(1).startswith(("pl_", "pli_")):
            yield Offence(HEADER, metrics.line_of(text, match.start()),
                          f"type {match.group(1)}: call it pl_ or pli_")
    for function in metrics.functions(source):
        if not function.name.startswith(("pl_", "pli_", "PL_", "PLI_")) \
                and not mentions(opening, function.name):
            yield Offence(HEADER, function.line, f"function {function.name}: call it pl_ or pli_; "
                          "one that stands in for libc's is listed in the opening comment")


def opening_comment(text: str) -> str:
    """All text before the include guard."""
    return "\n".join(text.splitlines()[:layout(text).opening])


def exported_symbols(repo: Repo) -> Iterator[Offence]:
    """The object exports pl_ names, what the API's macros need, and the listed interposed names."""
    text = header(repo)
    symbols = object_symbols(text) if text else ()
    if symbols is None:
        yield Offence(HEADER, 0, "does not compile with cc -DPERFLAB_IMPL -x c -c perflab.h")
    for name in symbols or ():
        if not may_export(text, name):
            yield Offence(HEADER, 0, f"the object exports {name}: make it static, or list it in "
                          "the opening comment when it stands in for libc's")


def may_export(text: str, name: str) -> bool:
    """Public names, private ones that a macro of the API expands to, and documented stand-ins."""
    first, last = layout(text).api
    if name.startswith("pl_"):
        return True
    if name.startswith("pli_"):
        return mentions("\n".join(text.splitlines()[first:last]), name)
    if re.match(r"_Z(nw|na|dl|da)[a-zA-Z]", name):
        return "operator new" in opening_comment(text)
    return mentions(opening_comment(text), name)


def mentions(text: str, name: str) -> bool:
    """Whether the text has the name as a word of its own."""
    return re.search(rf"\b{re.escape(name)}\b", text) is not None


def object_symbols(text: str) -> Optional[Tuple[str, ...]]:
    """Names that the compiled implementation exports; None when it does not compile."""
    with tempfile.TemporaryDirectory() as folder:
        path, target = Path(folder, HEADER), Path(folder, "perflab.o")
        path.write_text(text)
        command = ["cc", "-DPERFLAB_IMPL", "-x", "c", "-c", str(path), "-o", str(target)]
        if subprocess.run(command, stderr=subprocess.DEVNULL).returncode != 0:
            return None
        listing = subprocess.check_output(["nm", "--extern-only", "--defined-only", str(target)],
                                          universal_newlines=True)
    return tuple(sorted(line.split()[-1] for line in listing.splitlines() if line.strip()))


# budgets ------------------------------------------------------------------------------------------


def budgets(repo: Repo) -> Iterator[Offence]:
    """Length of the whole, of the API and of each section."""
    text = header(repo)
    parts = layout(text)
    total, api = len(text.splitlines()), parts.api[1] - parts.api[0]
    if total > LINES:
        yield Offence(HEADER, 0, f"{total} lines; the budget is {LINES}")
    if api > API_LINES:
        yield Offence(HEADER, parts.api[0], f"the API has {api} lines; the budget is {API_LINES}")
    for section in parts.sections:
        length = section.last - section.first + 1
        if length > SECTION_LINES and section.name != "api":
            yield Offence(HEADER, section.first, f">>{section.name} has {length} lines; "
                          f"the budget is {SECTION_LINES}")


def function_lengths(repo: Repo) -> Iterator[Offence]:
    """Functions are short: median, 90th percentile and longest."""
    shape = metrics.measure(header(repo))
    for name, value, limit in (("median", shape.median, MEDIAN),
                               ("90th percentile", shape.p90, P90)):
        if value > limit:
            yield Offence(HEADER, 0, f"function length: {name} {value} lines, "
                          f"the budget is {limit}")
    for function in shape.functions:
        if function.length > LONGEST:
            yield Offence(HEADER, function.line, f"{function.name} has {function.length} lines, "
                          f"the budget is {LONGEST}: split it")


def comment_share(repo: Repo) -> Iterator[Offence]:
    """A quarter to a third of the lines explain."""
    share = metrics.measure(header(repo)).comment_percent
    if header(repo) and not COMMENTS[0] <= share <= COMMENTS[1]:
        yield Offence(HEADER, 0, f"{share} % of the lines are comments; "
                      f"the budget is {COMMENTS[0]} to {COMMENTS[1]} %")


# documentation ------------------------------------------------------------------------------------


def public_comments(repo: Repo) -> Iterator[Offence]:
    """Each public function has a comment that begins with its name and gives its contract."""
    text = header(repo)
    first, last = layout(text).api
    source = metrics.scan(text)
    code = metrics.without_directives(source.code)
    for head, start, _, _ in metrics.top_level(code):
        match = re.search(r"\b(pl_\w+)\s*\(", head)
        line = metrics.line_of(code, start + len(head) - len(head.lstrip()))
        if match and first < line <= last and (is_prototype(head) or "inline" in head.split()):
            name = match.group(1)
            for fault in comment_faults(name, comment_above(source, line)):
                yield Offence(HEADER, line, f"{name}: {fault}")


def comment_above(source: metrics.Source, line: int) -> str:
    """The comment that ends on the line before, as one line of text."""
    lines = source.text.splitlines()
    above = line - 1
    while above in source.comment_lines and above not in source.code_lines \
            and not starts_comment(lines[above - 1]):
        above -= 1
    words = " ".join(lines[above - 1:line - 1]) if above in source.comment_lines else ""
    return " ".join(re.sub(r"/\*+|\*+/|(?<=\s)\*(?=\s)|//+", " ", words).split())


def starts_comment(line: str) -> bool:
    """Whether a block comment begins on the line."""
    return line.lstrip().startswith("/*")


def comment_faults(name: str, comment: str) -> Iterator[str]:
    """What the comment of a public function lacks."""
    if not re.match(rf"{name}\b", comment):
        yield "its comment begins with its name"
    if "Threads:" not in comment:
        yield "its comment says 'Threads: ...'"
    if not re.search(r"Signal-safe: (yes|no)", comment):
        yield "its comment says 'Signal-safe: yes' or 'no'"


RULES = (contents_equal_tags, platform_conditionals, signal_functions, forward_declarations,
         macro_names, type_names, exported_symbols, budgets, function_lengths, comment_share,
         public_comments)
