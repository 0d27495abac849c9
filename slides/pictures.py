"""Pictures from recorded measurements, as the deck's INI file asks for them.

Every picture has `kind` and `title` (for those who cannot see it), most have `data`, a measurement
of the deck. Lines of `series`, `bars`, `dots` and `sides` begin with a role, which gives the
colour: slow, fast, third or other. WHICH chooses benchmark lines by any of these:
`data=bench version=slow name=LogExport records=3000 last=map`; a bar may have its own `unit=B/op`.
Of repeats the median counts, with `repeats = least` the smallest: what disturbs only adds time.

    curves   series = ROLE | LABEL | WHICH     x, y: a key of the name, a unit; x title, y title
             x log, y log = yes                factors = yes writes the growth between marks
    bars     bars = ROLE | LABEL | WHICH       unit; against = "faster" adds how many times
    dots     dots = ROLE | LABEL | WHICH       unit; x title; line = VALUE | LABEL
    pairs    rows = LABEL | WHICH              slow, fast: two data; names = of them; unit
    flame    sides = ROLE | CAPTION | DATA     hot: the name of the function to colour
    layout   sides = ROLE | CAPTION | DATA     the caption may say {size} and {holes}
    steps    steps = HEAD | TEXT               back: the words at the way back
    amdahl   shares = percent ...              what a fix can win at most; no data
    line     parts = what each part of the first benchmark line of data means
    lines    sides = ROLE | CAPTION | DATA     variables on cache lines, and who writes them

`height` and `ticks` (values of the x axis) are for curves.
"""
from __future__ import annotations

from pathlib import Path
from typing import Callable, Dict, List, Tuple

from . import charts, diagrams, recorded, stage
from .deck import FOLDER, deck_paths
from .excerpt import SlideError
from .plan import Section, sections, split
from .recorded import Row
from .svg import Drawing

TARGET = FOLDER / "pictures"


def wanted(picture: Section, which: str, data: str = "") -> List[Row]:
    """The benchmark lines that WHICH chooses."""
    wishes = dict(word.split("=", 1) for word in which.split())
    source = wishes.pop("data", data or picture.get("data"))
    version, name = wishes.pop("version", None), wishes.pop("name", None)
    last = wishes.pop("last", None)
    found = [row for row in recorded.rows(recorded.load(picture.deck, source))
             if version in (None, row.version) and name in (None, row.name.split("/")[0])
             and last in (None, row.name.split("/")[-1])
             and all(row.keys.get(key) == value for key, value in wishes.items())]
    if not found:
        raise SlideError(f"{picture.where}: '{which}' chooses no line of {source}")
    return found


def series(picture: Section) -> List[charts.Series]:
    """The curves of a picture."""
    result = []
    for line in picture.lines("series"):
        role, label, which = split(line, 3)
        points = sorted((float(row.keys[picture.need("x")]), row.values[picture.need("y")])
                        for row in wanted(picture, which))
        groups: Dict[float, List[float]] = {}
        for x, y in points:
            groups.setdefault(x, []).append(y)
        result.append(charts.Series(role, label, tuple(
            (x, one_of(picture, group)) for x, group in sorted(groups.items()))))
    return result


def one_of(picture: Section, values: List[float]) -> float:
    """What repeats count as: their median, or the least: what disturbs only adds to a time."""
    if picture.get("repeats", "median") == "least":
        return min(values)
    return sorted(values)[(len(values) - 1) // 2]


def curves(picture: Section) -> Drawing:
    """Curves over a key of the benchmarks' names."""
    unit = picture.need("y")
    return charts.curves(
        picture.need("title"), series(picture), (picture.need("x title"), picture.get("x unit")),
        (picture.need("y title"), picture.get("y unit", unit)),
        (picture.get("x log") == "yes", picture.get("y log") == "yes"),
        picture.get("factors") == "yes", float(picture.get("height", "500")),
        [float(word) for word in picture.get("ticks").split()])


def bars(picture: Section) -> Drawing:
    """Bars, one for each chosen benchmark; repeats count as their median."""
    items = []
    for line in picture.lines("bars"):
        role, label, which = split(line, 3)
        wishes = dict(word.split("=", 1) for word in which.split())
        unit = wishes.pop("unit", picture.need("unit"))
        which = " ".join(f"{key}={value}" for key, value in wishes.items())
        items.append((role, label, one_of(picture, [row.values[unit] for row in
                                                      wanted(picture, which)])))
    return charts.bars(picture.need("title"), items, picture.need("unit"), picture.get("against"))


def dots(picture: Section) -> Drawing:
    """Every single run as a dot."""
    groups = []
    for line in picture.lines("dots"):
        role, label, which = split(line, 3)
        groups.append((role, label, [row.values[picture.need("unit")]
                                     for row in wanted(picture, which)]))
    value, label = split(picture.get("line"), 2)
    return charts.dots(picture.need("title"), groups, (picture.need("x title"),
                                                       picture.need("unit")),
                       (float(value or 0), label))


def pairs(picture: Section) -> Drawing:
    """Two values of the same benchmark: what was reported, and what is true."""
    slow, fast = (picture.need(key) for key in ("slow", "fast"))
    unit = picture.need("unit")
    rows = []
    for line in picture.lines("rows"):
        label, which = split(line, 2)
        both = [one_of(picture, [row.values[unit] for row in
                                 wanted(picture, f"{which} data={data}")])
                for data in (slow, fast)]
        rows.append((label, both[0], both[1]))
    first, second = split(picture.need("names"), 2)
    return charts.pairs(picture.need("title"), rows, (first, second),
                        (picture.need("x title"), unit))


def flame(picture: Section) -> Drawing:
    """Flame graphs side by side."""
    sides = [(role, caption, recorded.stacks(recorded.load(picture.deck, data)))
             for role, caption, data in (split(line, 3) for line in picture.lines("sides"))]
    return diagrams.flame(picture.need("title"), sides, picture.need("hot"))


def layout(picture: Section) -> Drawing:
    """Structs in memory."""
    sides = []
    for line in picture.lines("sides"):
        role, caption, data = split(line, 3)
        found, total = diagrams.members(recorded.records(recorded.load(picture.deck, data)))
        caption = caption.format(size=total, holes=total - sum(one.size for one in found))
        sides.append((role, caption, found, total))
    return diagrams.layouts(picture.need("title"), sides)


def lines(picture: Section) -> Drawing:
    """Variables on cache lines."""
    sides = []
    for words in picture.lines("sides"):
        role, caption, data = split(words, 3)
        found = recorded.records(recorded.load(picture.deck, data))
        size = next(int(one["bytes"]) for one in found if one["name"] == "(line)")
        places = [diagrams.Place(one["name"], int(one["thread"]), int(one["offset"]))
                  for one in found if "thread" in one]
        sides.append((role, caption, places, size))
    return diagrams.cache_lines(picture.need("title"), sides)


def steps(picture: Section) -> Drawing:
    """Boxes in a circle."""
    boxes = [(head, text) for head, text in (split(line, 2) for line in picture.lines("steps"))]
    return diagrams.steps(picture.need("title"), boxes, picture.need("back"))


def amdahl(picture: Section) -> Drawing:
    """What a faster part does to the whole."""
    return stage.amdahl(picture.need("title"), [int(word) for word in
                                                picture.need("shares").split()])


def line(picture: Section) -> Drawing:
    """The parts of a recorded benchmark line."""
    body = recorded.load(picture.deck, picture.need("data")).body
    first = next(words for words in body.splitlines() if words.startswith("Benchmark"))
    return stage.benchmark_line(picture.need("title"), first, picture.lines("parts"))


KINDS: Dict[str, Callable[[Section], Drawing]] = {
    "curves": curves, "bars": bars, "dots": dots, "pairs": pairs, "flame": flame, "layout": layout,
    "steps": steps, "amdahl": amdahl, "line": line, "lines": lines,
}


def draw(picture: Section) -> str:
    """One picture as SVG."""
    kind = picture.need("kind")
    if kind not in KINDS:
        raise SlideError(f"{picture.where}: kind is '{kind}'; there are {', '.join(KINDS)}")
    try:
        return KINDS[kind](picture).svg()
    except (KeyError, ValueError) as error:
        raise SlideError(f"{picture.where}: {error} is missing or wrong") from error


def target(picture: Section) -> Path:
    """The file of a picture."""
    number = picture.deck.split("_")[0]
    return TARGET / f"{number}_{picture.name}.svg"


def all_pictures() -> List[Section]:
    """Every picture of every deck."""
    return [section for path in deck_paths() for section in sections(path, "picture")]
