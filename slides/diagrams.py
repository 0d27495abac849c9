"""Diagrams of structure: flame graphs, layouts in memory, boxes joined by arrows."""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, Iterator, List, Mapping, Sequence, Set, Tuple

from .svg import (COOL, FAST, GREY, INK, LINE, PALE, PAPER, SLOW, WARM, WIDTH, Drawing,
                  text_width)

Stacks = Sequence[Tuple[Tuple[str, ...], int]]
LEAST = 0.03            # share of a profile below which a call is not drawn
CELL = 66               # width of a byte in a layout


@dataclass
class Call:
    """A function with all that it calls, in a flame graph."""
    name: str
    total: int = 0
    below: Dict[str, "Call"] = field(default_factory=dict)


def tree(stacks: Stacks) -> Call:
    """The stacks as a tree of calls."""
    root = Call("all")
    for names, weight in stacks:
        call = root
        call.total += weight
        for name in names:
            call = call.below.setdefault(name, Call(name))
            call.total += weight
    return root


def depth(call: Call, least: float) -> int:
    """How many calls lie above each other, the small ones left out."""
    return 1 + max((depth(one, least) for one in call.below.values() if one.total >= least),
                   default=0)


def flame(title: str, sides: Sequence[Tuple[str, str, Stacks]], hot: str) -> Drawing:
    """Flame graphs one below the other, as (role, caption, stacks). Callers stand below calls."""
    trees = [tree(stacks) for _, _, stacks in sides]
    levels = [depth(root, root.total * LEAST) - 1 for root in trees]
    room = min(56.0, (480 - 54 * len(sides)) / sum(levels))
    drawing = Drawing(title, sum(levels) * room + 54 * len(sides))
    top = 0.0
    for (role, caption, _), root, rows in zip(sides, trees, levels):
        drawing.text(0, top + 28, caption, 28, SLOW if role == "slow" else FAST, bold=True)
        top += 40 + rows * room
        flame_level(drawing, root, (0, top), (WIDTH, room), (role, hot, root.total))
        top += 14
    return drawing


def flame_level(drawing: Drawing, call: Call, place: Tuple[float, float],
                size: Tuple[float, float], look: Tuple[str, str, int]) -> None:
    """The calls above one call, in the order of the alphabet, each as wide as its share."""
    x, y = place
    for name in sorted(call.below):
        one = call.below[name]
        width = size[0] * one.total / call.total
        if one.total >= look[2] * LEAST:
            fill = PALE if look[1] not in name else WARM if look[0] == "slow" else COOL
            drawing.box(x, y - size[1] + 3, width - 3, size[1] - 3, fill, GREY, 1.5)
            words = fitting(name, one.total / look[2], width - 14)
            drawing.text(x + 10, y - size[1] / 2 + 10, words, 26, INK, mono=True)
            flame_level(drawing, one, (x, y - size[1]), (width, size[1]), look)
        x += width


def fitting(name: str, share: float, width: float) -> str:
    """A function's name with its share, as much of it as there is room for."""
    for words in (f"{name}  {share * 100:.0f} %", name, f"{name[:12]}..", ""):
        if text_width(words, 26, True) <= width - 10:
            return words
    return ""


# layouts ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Member:
    """A member of a struct, or a hole between two (no name)."""
    name: str
    offset: int
    size: int


def with_holes(members: Sequence[Member], total: int) -> List[Member]:
    """Members in order, and what lies between and behind them."""
    result, at = [], 0
    for member in sorted(members, key=lambda item: item.offset):
        if member.offset > at:
            result.append(Member("", at, member.offset - at))
        result.append(member)
        at = member.offset + member.size
    return result + ([Member("", at, total - at)] if total > at else [])


def layouts(title: str, sides: Sequence[Tuple[str, str, Sequence[Member], int]]) -> Drawing:
    """Structs side by side as (role, caption, members, size): eight bytes a row, holes hatched."""
    rows = max((total + 7) // 8 for _, _, _, total in sides)
    height = min(50.0, 420 / rows)
    drawing = Drawing(title, rows * height + 62)
    gap = WIDTH - 2 * (8 * CELL + 40) if len(sides) > 1 else 0
    for index, (role, caption, members, total) in enumerate(sides):
        left = 40 + index * (8 * CELL + 40 + gap)
        for member in with_holes(members, total):
            draw_member(drawing, member, (left, 46), height, role)
        for member in members:
            draw_name(drawing, member, (left, 46), height, set(hole_rows(members, total)))
        for row in range((total + 7) // 8):
            drawing.text(left - 8, 46 + row * height + height / 2 + 9, str(row * 8), 24, GREY,
                         "end")
        drawing.text(left, 30, caption, 28, SLOW if role == "slow" else FAST, bold=True)
    return drawing


def draw_member(drawing: Drawing, member: Member, corner: Tuple[float, float], height: float,
                role: str) -> None:
    """A member's bytes, or those of a hole, row by row."""
    at = member.offset
    while at < member.offset + member.size:
        stop = min(member.offset + member.size, (at // 8 + 1) * 8)
        x, y = corner[0] + at % 8 * CELL + 1, corner[1] + at // 8 * height + 1
        width = (stop - at) * CELL - 2
        if member.name:
            drawing.box(x, y, width, height - 2, WARM if role == "slow" else COOL, GREY, 1.5)
        else:
            hatch(drawing, x, y, width, height - 2)
        at = stop


def draw_name(drawing: Drawing, member: Member, corner: Tuple[float, float], height: float,
              holes: Set[Tuple[int, int]]) -> None:
    """A member's name in its place; beside it when that is a hole; else as much as fits."""
    row, column = divmod(member.offset, 8)
    size = min(member.size, 8 - column)
    x, y = corner[0] + column * CELL, corner[1] + row * height + height / 2 + 9
    width = text_width(member.name, 26, True)
    if width > size * CELL - 12 and (row, column + size) in holes:
        x += size * CELL + 8
        drawing.box(x, y - 26, width * 1.2 + 12, 36, PAPER)
        drawing.text(x + 6, y, member.name, 26, INK, mono=True)
    else:
        drawing.text(x + 7, y, member.name[:int((size * CELL - 10) / 13)], 26, INK, mono=True)


def hole_rows(members: Sequence[Member], total: int) -> Iterator[Tuple[int, int]]:
    """Where holes begin: row and column."""
    return (divmod(one.offset, 8) for one in with_holes(members, total) if not one.name)


def hatch(drawing: Drawing, x: float, y: float, width: float, height: float) -> None:
    """Bytes that hold nothing: slanted lines."""
    drawing.box(x, y, width, height, PAPER, LINE, 1.5)
    step = x - height + 12
    while step < x + width:
        low, high = max(step, x), min(step + height, x + width)
        if high > low:
            drawing.line([(low, y + height - (low - step)), (high, y + height - (high - step))],
                         GREY, 2)
        step += 14


# cache lines --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """A variable of eight bytes, and the thread that writes it."""
    name: str
    thread: int
    offset: int


def cache_lines(title: str, sides: Sequence[Tuple[str, str, Sequence[Place], int]]) -> Drawing:
    """Lines of the cache, eight bytes a cell, one group below the other; who writes which cell."""
    groups = [sorted({place.offset // line for place in places}) for _, _, places, line in sides]
    height = min(64.0, (470 - 44 * len(sides)) / sum(len(group) for group in groups))
    drawing = Drawing(title, sum(len(group) for group in groups) * height + 50 * len(sides))
    top = 0.0
    for (role, caption, places, line), group in zip(sides, groups):
        drawing.text(0, top + 28, caption, 28, SLOW if role == "slow" else FAST, bold=True)
        for row, number in enumerate(group):
            here = [place for place in places if place.offset // line == number]
            draw_line(drawing, here, (150, top + 40 + row * height), height, line)
            drawing.text(136, top + 40 + (row + 0.5) * height + 9, f"line {number}", 26, GREY,
                         "end")
        top += 50 + len(group) * height
    return drawing


def draw_line(drawing: Drawing, places: Sequence[Place], corner: Tuple[float, float],
              height: float, line: int) -> None:
    """One line with its cells; beside it, between how many threads it goes to and fro."""
    cells, threads = line // 8, len({place.thread for place in places})
    width = (WIDTH - corner[0] - 250) / cells
    for cell in range(cells):
        drawing.box(corner[0] + cell * width, corner[1] + 3, width - 2, height - 6, PALE, LINE)
    for place in places:
        x = corner[0] + place.offset % line // 8 * width
        drawing.box(x, corner[1] + 3, width - 2, height - 6, WARM if threads > 1 else COOL, GREY)
        drawing.text(x + width / 2 - 1, corner[1] + height / 2 + 9, f"T{place.thread}", 26, INK,
                     "middle", bold=True)
    words = f"{threads} threads pull" if threads > 1 else "stays at its core"
    drawing.text(WIDTH - 236, corner[1] + height / 2 + 9, words, 27,
                 SLOW if threads > 1 else FAST, bold=True)


# boxes --------------------------------------------------------------------------------------------


def steps(title: str, boxes: Sequence[Tuple[str, str]], back: str) -> Drawing:
    """Boxes in a row joined by arrows, and an arrow from the last back to the first."""
    drawing = Drawing(title, 330)
    width = (WIDTH - 70 * (len(boxes) - 1)) / len(boxes)
    for index, (head, text) in enumerate(boxes):
        x = index * (width + 70)
        drawing.box(x, 6, width, 150, COOL, FAST, 4, 14)
        drawing.text(x + width / 2, 66, head, 40, FAST, "middle", bold=True)
        for row, words in enumerate(text.split("/")):
            drawing.text(x + width / 2, 104 + 32 * row, words, 26, INK, "middle")
        if index:
            drawing.arrow((x - 66, 81), (x - 6, 81))
    middle = width / 2
    drawing.line([(WIDTH - middle, 160), (WIDTH - middle, 262), (middle, 262), (middle, 190)],
                 GREY, 4)
    drawing.arrow((middle, 200), (middle, 162), GREY)
    drawing.text(WIDTH / 2, 304, back, 28, INK, "middle")
    return drawing


def members(found: Sequence[Mapping[str, str]]) -> Tuple[List[Member], int]:
    """Members and size from recorded lines: `name offset=0 size=4`, and `(all) size=64`."""
    total = next(int(item["size"]) for item in found if item["name"] == "(all)")
    return [Member(item["name"], int(item["offset"]), int(item["size"]))
            for item in found if item["name"] != "(all)"], total
