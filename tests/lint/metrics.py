"""The shape of C source: its functions with their lengths, its comment share, its widest line.

    python3 tests/lint/metrics.py perflab.h [more.c ...]

A scanner, not a parser: comments and literals are blanked, functions are found by their braces.
Good enough for code in one style; macros that open or close a block would fool it.
"""
from __future__ import annotations

import re
import statistics
import sys
from dataclasses import dataclass
from typing import Iterator, List, NamedTuple, Optional, Set, Tuple

TOKENS = re.compile(
    r"""(?P<block>/\*.*?\*/)|(?P<line>//(?:\\\n|[^\n])*)"""
    r"""|(?P<literal>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')""", re.DOTALL)


class Source(NamedTuple):
    """C text with everything blanked that is not code; positions and lines stay as they were."""
    text: str
    code: str                   # without comments, and with empty literals
    comment_lines: Set[int]
    code_lines: Set[int]


class Function(NamedTuple):
    """A function definition; lines count from 1 and include both braces."""
    name: str
    line: int
    length: int
    signature: str
    body: str


@dataclass(frozen=True)
class Shape:
    """The figures that the budgets are about."""
    lines: int
    comment_percent: int
    functions: Tuple[Function, ...]
    median: int
    p90: int
    longest: int
    widest: int


def blank(text: str) -> str:
    """Spaces in place of everything but line ends."""
    return re.sub(r"[^\n]", " ", text)


def scan(text: str) -> Source:
    """Separates code, comments and literals."""
    comments: Set[int] = set()

    def replace(match: "re.Match[str]") -> str:
        token = match.group(0)
        if match.lastgroup == "literal":
            return token[0] + " " * (len(token) - 2) + token[0]
        first = text.count("\n", 0, match.start()) + 1
        comments.update(first + number for number, line in enumerate(token.split("\n"))
                        if line.strip())
        return blank(token)

    code = TOKENS.sub(replace, text)
    lines = {number for number, line in enumerate(code.split("\n"), 1) if line.strip()}
    return Source(text, code, comments, lines)


def without_directives(code: str) -> str:
    """Code without preprocessor lines and their continuations."""
    return re.sub(r"^[ \t]*#(?:\\\n|[^\n])*", lambda match: blank(match.group(0)), code,
                  flags=re.MULTILINE)


def top_level(code: str) -> Iterator[Tuple[str, int, int, int]]:
    """What stands outside braces, piece by piece: (text, start, end of what it heads, its brace).

    A piece ends at a semicolon (brace -1) or with the block it opens (position of that brace).
    The block of an extern "C" counts as outside.
    """
    start = depth = 0
    brace = -1
    for match in re.finditer(r"[{};]", code):
        position, sign = match.start(), match.group(0)
        if sign == "{":
            if depth == 0 and re.search(r'extern\s*" *"\s*$', code[start:position]):
                start = position + 1
                continue
            brace = position if depth == 0 else brace
            depth += 1
        elif sign == "}" and depth > 0:
            depth -= 1
            if depth == 0:
                yield code[start:brace], start, position + 1, brace
                start = position + 1
        elif depth == 0:
            if sign == ";":
                yield code[start:position], start, position, -1
            start = position + 1


def is_function(head: str) -> bool:
    """Whether the text before a brace heads a function, not a struct, enum or initialiser."""
    close = head.rfind(")")
    return close >= 0 and "=" not in head[close:] and "struct" not in head[close:]


def functions(source: Source) -> List[Function]:
    """Every function definition, in order."""
    code = without_directives(source.code)
    found: List[Function] = []
    for head, _, end, brace in top_level(code):
        if brace < 0 or not is_function(head):
            continue
        name = function_name(head)
        first, last = code.count("\n", 0, brace) + 1, code.count("\n", 0, end) + 1
        found.append(Function(name, first, last - first + 1, " ".join(head.split()),
                              code[brace:end]))
    return found


def function_name(head: str) -> str:
    """The name in a signature: what stands before the first parenthesis that is no attribute."""
    for name in re.findall(r"(\w+)\s*\(", head):
        if name not in ("__attribute__", "__attribute", "_Alignas", "__declspec", "__asm__"):
            return str(name)
    return "?"


def measure(text: str) -> Shape:
    """All figures of one file."""
    source = scan(text)
    found = functions(source)
    lengths = sorted(function.length for function in found)
    comments, total = len(source.comment_lines), len(source.comment_lines) + len(source.code_lines)
    return Shape(lines=len(text.splitlines()),
                 comment_percent=round(100 * comments / max(1, total)),
                 functions=tuple(found),
                 median=int(statistics.median(lengths)) if lengths else 0,
                 p90=lengths[int(0.9 * (len(lengths) - 1))] if lengths else 0,
                 longest=lengths[-1] if lengths else 0,
                 widest=max((len(line) for line in text.splitlines()), default=0))


def line_of(text: str, position: int) -> int:
    """The line, from 1, of a position."""
    return text.count("\n", 0, position) + 1


def main(paths: Optional[List[str]] = None) -> int:
    """Prints the figures of each file and its longest functions."""
    for path in paths if paths is not None else sys.argv[1:]:
        with open(path, encoding="utf-8") as file:
            shape = measure(file.read())
        print(f"{path}: {shape.lines} lines, {shape.comment_percent} % comments, "
              f"{len(shape.functions)} functions: median {shape.median}, p90 {shape.p90}, "
              f"longest {shape.longest}; widest line {shape.widest}")
        for function in sorted(shape.functions, key=lambda f: -f.length)[:3]:
            print(f"    {function.length:4} lines  {function.name} (line {function.line})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
