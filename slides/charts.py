"""Charts from benchmark lines: curves, bars, dots. Labels stand at the thing they name."""
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Callable, Dict, List, Sequence, Tuple

from .svg import FAST, GREY, INK, LINE, SLOW, WIDTH, Drawing, Point, text_width

COLOURS = {"slow": SLOW, "fast": FAST, "other": GREY, "third": INK}
DURATIONS = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns"))
BYTES = ((2.0 ** 30, "GiB"), (2.0 ** 20, "MiB"), (2.0 ** 10, "KiB"), (1.0, "bytes"))


@dataclass(frozen=True)
class Series:
    """One curve: its role (slow, fast, other: the colour), its name, its points."""
    role: str
    label: str
    points: Tuple[Point, ...]

    @property
    def colour(self) -> str:
        """The colour of its role."""
        return COLOURS.get(self.role, GREY)


@dataclass(frozen=True)
class Axis:
    """One direction of a chart."""
    title: str
    unit: str
    log: bool
    low: float
    high: float
    start: float        # pixels
    stop: float
    marks: Tuple[float, ...] = ()   # ticks to have; none: round values

    def at(self, value: float) -> float:
        """The pixel of a value."""
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.stop - self.start)

    def ticks(self) -> List[float]:
        """Round values, four to seven of them."""
        if self.marks:
            return list(self.marks)
        if self.log:
            return log_ticks(self.low, self.high)
        scale = next(size for size, _ in BYTES if self.high >= 4 * size or size == 1) \
            if self.unit in ("B/op", "bytes") else 1.0      # round in KiB, not in thousands
        return [value * scale for value in linear_ticks(self.low / scale, self.high / scale)]


def linear_ticks(low: float, high: float) -> List[float]:
    """Multiples of 1, 2 or 5 times a power of ten."""
    raw = (high - low) / 5
    power = 10 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [step * index for index in range(first, int(high / step + 1e-9) + 1)]


def log_ticks(low: float, high: float) -> List[float]:
    """Powers of ten; in a short range also their doubles and fives."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1,) if math.log10(high / low) > 2.2 else (1, 2, 5)
    values = [factor * 10.0 ** power for power in powers for factor in factors]
    return [value for value in values if low * 0.999 <= value <= high * 1.001]


def amount(value: float, unit: str) -> str:
    """A value with its unit as people say it: 35.2 ms, 1.5 MiB, 30,001."""
    scale = BYTES if unit in ("B/op", "bytes") else ()
    if unit.startswith(("ns", "cpu-ns")):
        scale = DURATIONS
    for size, name in scale:
        if value >= size:
            return f"{short(value / size)} {name}"
    if scale and value > 0:
        return f"{short(value)} {scale[-1][1]}"
    if unit == "x":
        return f"{short(value)}x"
    if unit.endswith("%"):
        return f"{short(value)} %"
    return short(value)


def short(value: float) -> str:
    """Three figures that mean something; thousands apart."""
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}".rstrip("0").rstrip(".")


def times(ratio: float) -> str:
    """A ratio in two or three figures: 5.1x, 97x."""
    return f"{ratio:.1f}x" if ratio < 10 else f"{ratio:,.0f}x"


def spread(values: Sequence[float], log: bool, from_zero: bool) -> Tuple[float, float]:
    """The range of an axis that shows all values with a little air."""
    low, high = min(values), max(values)
    if log:
        return low / 1.25, high * 1.25
    return (0.0 if from_zero else low), (high * 1.08 or 1.0)


def frame(drawing: Drawing, across: Axis, up: Axis) -> None:
    """Grid, ticks and titles of a chart."""
    for value in up.ticks():
        y = up.at(value)
        drawing.line([(across.start, y), (across.stop, y)], LINE, 2)
        drawing.text(across.start - 12, y + 9, amount(value, up.unit), 25, GREY, "end")
    for value in across.ticks():
        x = across.at(value)
        drawing.line([(x, up.start), (x, up.start + 9)], GREY, 2)
        drawing.text(x, up.start + 38, amount(value, across.unit), 25, GREY, "middle")
    drawing.line([(across.start, up.start), (across.stop, up.start)], GREY, 3)
    drawing.text((across.start + across.stop) / 2, up.start + 74, across.title, 26, INK, "middle")
    drawing.text(4, 26, up.title, 26, INK)


def curves(title: str, series: Sequence[Series], x: Tuple[str, str], y: Tuple[str, str],
           log: Tuple[bool, bool], factors: bool = False, height: float = 500,
           ticks: Sequence[float] = ()) -> Drawing:
    """Curves with their names at their ends. x and y are (title, unit), log is for both axes."""
    drawing = Drawing(title, height)
    right = WIDTH - max(text_width(line, 27) for item in series for line in item.label.split("/"))
    points = [point for item in series for point in item.points]
    across = Axis(x[0], x[1], log[0], *spread([p[0] for p in points], log[0], x[1] != "x"),
                  start=130, stop=right - 26, marks=tuple(ticks))
    up = Axis(y[0], y[1], log[1], *spread([p[1] for p in points], log[1], True),
              start=height - 84, stop=46)
    frame(drawing, across, up)
    places = label_places([up.at(item.points[-1][1]) for item in series],
                          [item.label.count("/") + 1 for item in series])
    for item, place in zip(series, places):
        curve(drawing, item, across, up, factors)
        for line, words in enumerate(item.label.split("/")):
            drawing.text(across.stop + 16, place + 9 + 30 * line, words, 27, item.colour, bold=True)
    return drawing


def curve(drawing: Drawing, item: Series, across: Axis, up: Axis, factors: bool) -> None:
    """One curve with its marks, and by which factor it grows from mark to mark."""
    places = [(across.at(x), up.at(y)) for x, y in item.points]
    drawing.line(places, item.colour, 5)
    mark: Callable[[float, float, str], None] = \
        drawing.square if item.role == "slow" else drawing.dot
    for x, y in places if len(places) <= 24 else ():
        mark(x, y, item.colour)
    for (_, low), (_, high), (x0, y0), (x1, y1) in \
            zip(item.points, item.points[1:], places, places[1:]) if factors else ():
        drawing.text((x0 + x1) / 2 - 12, (y0 + y1) / 2 - 14, f"x {high / low:.1f}", 27,
                     item.colour, "end", bold=True)


def label_places(wanted: Sequence[float], lines: Sequence[int]) -> List[float]:
    """Heights for labels near the wanted ones, without any two over each other."""
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    places = list(wanted)
    for before, after in zip(order, order[1:]):
        places[after] = max(places[after], places[before] + 32 * lines[before] + 2)
    return places


def bars(title: str, items: Sequence[Tuple[str, str, float]], unit: str,
         against: str = "") -> Drawing:
    """Horizontal bars of (role, label, value), and how many times the first one is the others."""
    step = 96 if len(items) <= 4 else 72
    drawing = Drawing(title, step * len(items) + 8)
    left = 24 + max(text_width(label, 28) for _, label, _ in items)
    room = WIDTH - left - (360 if against else 190)
    most = max(value for _, _, value in items)
    for index, (role, label, value) in enumerate(items):
        y, colour = index * step + 8, COLOURS.get(role, GREY)
        length = max(4, value / most * room)
        drawing.text(left - 18, y + step / 2 + 2, label, 28, INK, "end")
        drawing.box(left, y, length, step - 32, colour)
        words, at = amount(value, unit), left + length + 16
        drawing.text(at, y + step / 2 + 2, words, 30, colour, bold=True)
        if against and index:
            drawing.text(at + text_width(words, 32) + 24, y + step / 2 + 2,
                         f"{times(items[0][2] / value)} {against}", 30, INK)
    return drawing


def dots(title: str, groups: Sequence[Tuple[str, str, Sequence[float]]], axis: Tuple[str, str],
         line: Tuple[float, str] = (0, "")) -> Drawing:
    """A row of dots for each group: every single measurement, and the median as a bar."""
    row = 180 if len(groups) == 1 else 130
    drawing = Drawing(title, row * len(groups) + 110)
    left = 30 + max(text_width(label, 28) for _, label, _ in groups)
    values = [value for _, _, group in groups for value in group] + ([line[0]] if line[1] else [])
    across = Axis(axis[0], axis[1], False, min(values) - 0.04 * (max(values) - min(values)),
                  max(values) + 0.04 * (max(values) - min(values)), left, WIDTH - 30)
    bottom = row * len(groups) + 26
    for value in across.ticks():
        drawing.line([(across.at(value), 34), (across.at(value), bottom)], LINE, 2)
        drawing.text(across.at(value), bottom + 34, amount(value, axis[1]), 25, GREY, "middle")
    drawing.text((left + WIDTH) / 2, bottom + 72, axis[0], 26, INK, "middle")
    for index, (role, label, group) in enumerate(groups):
        dot_row(drawing, across, 26 + row / 2 + row * index, (role, label), sorted(group))
    if line[1]:
        drawing.line([(across.at(line[0]), 34), (across.at(line[0]), bottom)], INK, 4, "10 8")
        drawing.text(across.at(line[0]) + 10, 28, line[1], 26, INK, bold=True)
    return drawing


def dot_row(drawing: Drawing, across: Axis, y: float, name: Tuple[str, str],
            group: Sequence[float]) -> None:
    """One group: dots that share a place are piled up in five steps."""
    colour = COLOURS.get(name[0], GREY)
    piles: Dict[int, int] = {}
    drawing.text(across.start - 24, y + 9, name[1], 28, INK, "end")
    for value in group:
        column = int(across.at(value) / 9)
        piles[column] = piles.get(column, 0) + 1
        drawing.dot(across.at(value), y + 32 - 14 * ((piles[column] - 1) % 5), colour, 7)
    middle = across.at(group[len(group) // 2])
    drawing.line([(middle, y - 46), (middle, y + 46)], colour, 6)


def pairs(title: str, rows: Sequence[Tuple[str, float, float]], names: Tuple[str, str],
          axis: Tuple[str, str]) -> Drawing:
    """For each row what was reported (orange square) and what is true (blue dot), logarithmic."""
    drawing = Drawing(title, 58 * len(rows) + 140)
    left = 30 + max(text_width(label, 28) for label, _, _ in rows)
    values = [value for _, *both in rows for value in both]
    across = Axis(axis[0], axis[1], True, *spread(values, True, False), left, WIDTH - 40)
    bottom = 58 * len(rows) + 56
    for value in across.ticks():
        drawing.line([(across.at(value), 48), (across.at(value), bottom)], LINE, 2)
        drawing.text(across.at(value), bottom + 36, amount(value, axis[1]), 25, GREY, "middle")
    drawing.text((left + WIDTH) / 2, bottom + 74, axis[0], 26, INK, "middle")
    drawing.square(left + 10, 20, SLOW, 16)
    drawing.text(left + 30, 29, names[0], 27, SLOW, bold=True)
    drawing.dot(WIDTH / 2 + 10, 20, FAST, 9)
    drawing.text(WIDTH / 2 + 30, 29, names[1], 27, FAST, bold=True)
    for index, (label, reported, true) in enumerate(rows):
        y = 84 + 58 * index
        drawing.text(left - 20, y + 9, label, 28, INK, "end")
        drawing.line([(across.at(reported), y), (across.at(true), y)], GREY, 4)
        drawing.square(across.at(reported), y, SLOW, 20)
        drawing.dot(across.at(true), y, FAST, 11)
    return drawing
