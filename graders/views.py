"""Tables of a profile: which functions take the most, and which of their lines.

    flat    what a function spent itself        sum%    of this row and all above
    cum     with all that it called             %       of the whole profile

Numbers and order are those of `go tool pprof -top`. A function that calls itself counts once in
cum; functions of one name are one row. An inlined function has a row of its own.
"""
from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

from .model import GraderError
from .plain import printable, short
from .profile import Location, Profile, compiled, lost, total
from .units import Amounts, label, percentage, scale

SMALL_NODE, SMALL_EDGE = 0.005, 0.001   # rows and calls below these shares are left out
CONTEXT = 3                 # lines of source shown around those with samples
LONGEST_FUNCTION = 400      # lines that are searched for a function's beginning and end
BOLD, DIM, PLAIN = "1", "2", ""


class Node(NamedTuple):
    """What one row of a table stands for."""
    name: str
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return " ".join(filter(None, (self.name, place)))


@dataclass
class Weights:
    """What was spent in and below each node, and which calls led there."""
    flat: Dict[Node, int]
    cum: Dict[Node, int]
    calls: Dict[Tuple[Node, Node], Tuple[int, bool]]    # (caller, callee): value, inlined


@dataclass(frozen=True)
class Row:
    flat: int
    cum: int
    name: str


@dataclass(frozen=True)
class Top:
    """The top table and what its header says."""
    profile: Profile
    index: int
    total: int
    rows: Tuple[Row, ...]
    shown: int              # what the rows account for
    kept: int               # rows that --count could have shown
    dropped: int            # too small to be shown
    notes: Tuple[str, ...] = ()


def top(profile: Profile, whole: Profile, index: int, count: int = 0, by_cum: bool = False,
        lines: bool = False, notes: Sequence[str] = ()) -> Top:
    """The table of ``profile``; its percentages are of ``whole``, which it may be a part of."""
    weights = _weights(profile, index, lines)
    cutoff = abs(int(sum(weights.flat.values()) * SMALL_NODE))
    present = [node for node in weights.cum if weights.flat[node] or weights.cum[node]]
    nodes = [node for node in present if abs(weights.cum[node]) >= cutoff]
    nodes.sort(key=lambda node: _order(weights, node, by_cum))
    chosen = nodes[:count] if count else nodes
    inlined = _inlined(_weights(profile, index, lines, set(chosen)), weights)
    rows = tuple(Row(weights.flat[node], weights.cum[node], str(node) + inlined.get(node, ""))
                 for node in chosen)
    return Top(profile, index, total(whole, index), rows, sum(row.flat for row in rows),
               len(nodes), len(present) - len(nodes), tuple(notes))


def top_text(table: Top, colour: bool = False) -> str:
    """The table below a header that says what was measured."""
    kind = table.profile.sample_types[table.index]
    values = [row.flat or row.cum for row in table.rows]
    amounts = Amounts(kind.unit, values, table.total)
    lines = [*_header(table, amounts),
             _paint("      flat  flat%   sum%        cum   cum%", BOLD, colour)]
    running = 0
    for row in table.rows:
        running += row.flat
        cells = (f"{amounts.text(row.flat):>10} {percentage(row.flat, table.total)} "
                 f"{percentage(running, table.total)} {amounts.text(row.cum):>10} "
                 f"{percentage(row.cum, table.total)}  {printable(row.name)}")
        heavy = abs(row.flat) * 10 >= abs(table.total) > 0
        lines.append(_paint(cells, BOLD if heavy else PLAIN if row.flat else DIM, colour))
    return "\n".join(line.rstrip() for line in lines) + "\n"


def shares(profile: Profile, index: int) -> Dict[str, Tuple[int, int]]:
    """Flat and cumulative values of each function, by its name."""
    weights = _weights(profile, index, lines=False)
    return {node.name: (weights.flat[node], cum) for node, cum in weights.cum.items()}


# from stacks to weights ---------------------------------------------------------------------------


def _weights(profile: Profile, index: int, lines: bool,
             kept: Optional[Set[Node]] = None) -> Weights:
    """Adds up the samples. With ``kept``, frames of other nodes are skipped."""
    nodes = [_nodes(profile, location, lines) for location in profile.locations]
    flat: Dict[Node, int] = {}
    cum: Dict[Node, int] = {}
    calls: Dict[Tuple[Node, Node], Tuple[int, bool]] = {}
    for sample in profile.samples:
        value = sample.values[index]
        if not value:
            continue
        caller: Optional[Node] = None
        skipped = False
        seen: Set[object] = set()
        for number in reversed(sample.locations):
            for place, (node, inlined) in enumerate(nodes[number - 1]):
                skipped = kept is not None and node not in kept
                if skipped:
                    continue
                if node not in seen:
                    seen.add(node)
                    cum[node] = cum.get(node, 0) + value
                if caller is not None and caller != node and (caller, node) not in seen:
                    seen.add((caller, node))
                    weight, always = calls.get((caller, node), (0, True))
                    calls[caller, node] = weight + value, always and inlined
                caller = node
        if caller is not None and not skipped:
            flat[caller] = flat.get(caller, 0) + value
    return Weights({node: flat.get(node, 0) for node in cum}, cum, calls)


def _nodes(profile: Profile, location: Location, lines: bool) -> Tuple[Tuple[Node, bool], ...]:
    """The location's nodes, the outermost first; and whether each is inlined into the last one."""
    found = [_node(profile, location, line.function, line.line if lines else 0, lines)
             for line in reversed(location.lines)]
    if not found:
        found = [_unnamed(profile, location)]
    return tuple((node, number > 0) for number, node in enumerate(found))


def _node(profile: Profile, location: Location, number: int, line: int, lines: bool) -> Node:
    function = profile.functions[number - 1]
    file = _relative(function.file) if lines and function.file else ""
    if not function.name and not file:
        return _unnamed(profile, location)
    return Node(function.name, file, line)


def _unnamed(profile: Profile, location: Location) -> Node:
    file = profile.mappings[location.mapping - 1].file if location.mapping else ""
    return Node(f"[{os.path.basename(file)}]" if file else "<unknown>")


def _order(weights: Weights, node: Node, by_cum: bool) -> Tuple[int, str, int]:
    flat, cum = abs(weights.flat[node]), abs(weights.cum[node])
    return (-cum, str(node), -flat) if by_cum else (-flat, str(node), -cum)


def _inlined(shown: Weights, weights: Weights) -> Dict[Node, str]:
    """A remark for each node that was always, or sometimes, inlined into its caller."""
    cutoff = abs(int(sum(weights.flat.values()) * SMALL_EDGE))
    kinds: Dict[Node, Set[bool]] = {}
    for (_, node), (value, inlined) in shown.calls.items():
        if abs(value) >= cutoff:
            kinds.setdefault(node, set()).add(inlined)
    return {node: " (inline)" if found == {True} else " (partial-inline)"
            for node, found in kinds.items() if True in found}


# the header ---------------------------------------------------------------------------------------


def _header(table: Top, amounts: Amounts) -> Iterator[str]:
    profile = table.profile
    first = profile.mappings[0] if profile.mappings else None
    if first and first.file:
        yield f"File: {printable(os.path.basename(first.file))}"
    for comment in profile.comments:
        if not comment.startswith("#"):
            yield short(comment, 200)
    kind = profile.sample_types[table.index]
    yield f"Type: {short(kind.type)}"
    if profile.time_nanos:
        yield "Time: " + _date(profile.time_nanos)
    if profile.duration_nanos:
        yield _duration(table, amounts)
    gone = lost(profile, table.index)
    if gone:
        yield (f"Lost: {amounts.text(gone)}, {percentage(gone, table.total).strip()}: samples that "
               "the program could not keep")
    for note in table.notes:
        yield f"Note: {note}"
    yield (f"Showing nodes accounting for {amounts.text(table.shown)}, "
           f"{percentage(table.shown, table.total).strip()} of {amounts.text(table.total)} total")
    if table.dropped and table.total:
        limit = amounts.text(abs(int(table.total * SMALL_NODE)))
        yield f"Dropped {table.dropped} node{'s' * (table.dropped > 1)} (cum <= {limit})"
    if len(table.rows) < table.kept:
        yield f"Showing top {len(table.rows)} nodes out of {table.kept}"


def _duration(table: Top, amounts: Amounts) -> str:
    spent, unit = scale(table.total, table.profile.sample_types[table.index].unit, "nanoseconds")
    share = ""
    if unit == "ns" and spent:
        share = f" ({percentage(int(spent), table.profile.duration_nanos).strip()})"
    return (f"Duration: {label(table.profile.duration_nanos, 'nanoseconds')}, "
            f"Total samples = {amounts.text(table.total)}{share}")


def _date(nanos: int) -> str:
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(nanos // 10 ** 9))
    except (OverflowError, ValueError, OSError):
        return f"{nanos} ns"


# source lines -------------------------------------------------------------------------------------


Lines = Dict[int, Tuple[int, int]]      # flat and cum of each line


@dataclass
class Listing:
    """One function in one file."""
    name: str
    file: str
    flat: int
    cum: int
    lines: Lines


def listings(profile: Profile, index: int, pattern: str) -> List[Listing]:
    """Every function whose name has the pattern in it, the most expensive first."""
    wanted = compiled(pattern)
    chosen = {function.id for function in profile.functions if wanted.search(function.name)}
    found: Dict[Tuple[str, str], Listing] = {}
    for sample in profile.samples:
        places = [(profile.functions[line.function - 1], line.line)
                  for number in sample.locations
                  for line in profile.locations[number - 1].lines
                  if line.function in chosen]
        leaf = profile.locations[sample.locations[0] - 1].lines if sample.locations else ()
        _add(found, [((function.name, function.file), line) for function, line in places],
             bool(leaf) and leaf[0].function in chosen, sample.values[index])
    if not found:
        raise GraderError(f"no function with samples has '{short(pattern)}' in its name; "
                          "python3 -m graders top FILE shows the names")
    return sorted(found.values(), key=lambda item: (-abs(item.cum), item.name))


def _add(found: Dict[Tuple[str, str], Listing], keys: Sequence[Tuple[Tuple[str, str], int]],
         itself: bool, value: int) -> None:
    """Adds a sample: once to each function and line of its stack, flat to the first."""
    for key in dict.fromkeys(key for key, _ in keys):
        found.setdefault(key, Listing(*key, 0, 0, {})).cum += value
    for key, line in dict.fromkeys(keys):
        flat, cum = found[key].lines.get(line, (0, 0))
        found[key].lines[line] = flat, cum + value
    if itself:
        key, line = keys[0]
        found[key].flat += value
        flat, cum = found[key].lines[line]
        found[key].lines[line] = flat + value, cum


def list_text(profile: Profile, whole: int, index: int, found: Sequence[Listing],
              colour: bool = False) -> str:
    """The functions as annotated source."""
    unit = profile.sample_types[index].unit
    values = [flat or cum for item in found for flat, cum in item.lines.values()]
    amounts = Amounts(unit, values, whole)
    out = [f"Total: {amounts.text(whole)}"]
    for item in found:
        where = f" in {printable(_relative(item.file))}" if item.file else ""
        out += ["", _paint(f"{printable(item.name)}{where}", BOLD, colour),
                f"{amounts.text(item.flat):>10} {amounts.text(item.cum):>10} (flat, cum) "
                f"{percentage(item.cum, whole).strip()} of the total"]
        out += _listing(item, amounts, whole, profile.time_nanos, colour)
    return "\n".join(line.rstrip() for line in out) + "\n"


def _listing(item: Listing, amounts: Amounts, whole: int, taken: int,
             colour: bool) -> Iterator[str]:
    """The lines of one function; those without samples are there to read it."""
    source, remark = _source(item.file, taken)
    if remark:
        yield " " * 22 + remark
    known = sorted(line for line in item.lines if line)
    if 0 in item.lines:
        yield _line(item.lines[0], 0, "(line not known)", amounts, whole, colour)
    if not known:
        return
    first, last = _extent(source, item.name, known[0], known[-1])
    for number in range(first, last + 1):
        text = source[number - 1] if number <= len(source) else ""
        if number in item.lines or source:
            yield _line(item.lines.get(number, (0, 0)), number, text, amounts, whole, colour)


def _line(values: Tuple[int, int], number: int, text: str, amounts: Amounts, whole: int,
          colour: bool) -> str:
    flat, cum = (amounts.text(value) if value else "." for value in values)
    style = BOLD if abs(values[1]) * 10 >= abs(whole) > 0 else PLAIN if values[1] else DIM
    return _paint(f"{flat:>10} {cum:>10} {number or '':>6}  {printable(text)}", style, colour)


def _source(file: str, taken: int) -> Tuple[List[str], str]:
    """The lines of a source file, and what the reader has to know about them."""
    try:
        path = Path(file)
        if not path.is_file():
            return [], f"(the source is not here: {short(file, 100) or 'no file was recorded'})"
        text = path.read_text(encoding="utf-8", errors="replace")
        newer = taken and path.stat().st_mtime_ns > taken
    except (OSError, ValueError):
        return [], f"(the source cannot be read: {short(file, 100)})"
    return text.split("\n"), "(changed since the profile was taken: lines may not fit)" * newer


def _extent(source: Sequence[str], name: str, first: int, last: int) -> Tuple[int, int]:
    """The lines to show: the whole C function where its head and end are seen, else a few more."""
    head = re.compile(rf"^\w.*\b{re.escape(name)}\s*\(")
    start, end = max(1, first - CONTEXT), min(max(len(source), last), last + CONTEXT)
    for number in range(min(first, len(source)), max(0, first - LONGEST_FUNCTION), -1):
        if head.match(source[number - 1]):
            start = number
            break
    for number in range(last, min(len(source), last + LONGEST_FUNCTION) + 1):
        if source[number - 1].startswith("}"):
            end = number
            break
    return start, end


def _relative(path: str) -> str:
    """The path from here, where that is below here."""
    relative = os.path.relpath(path) if path.startswith("/") else path
    return path if relative.startswith("..") else relative


def _paint(words: str, style: str, colour: bool) -> str:
    return f"\x1b[{style}m{words}\x1b[0m" if colour and style and words else words
