"""A drawing: shapes and text on a canvas of a slide's width, written as SVG.

Deterministic: the same calls give the same bytes. Nothing has an id or a class, so that several
drawings can stand in one HTML page, and no drawing touches the look of another.
"""
from __future__ import annotations

from html import escape
from typing import Iterable, List, Sequence, Tuple

WIDTH = 1168            # a slide's width without its margins, in the slide's own pixels
LEAST = 24              # the smallest letters: 18 points, which the back row still reads
SLOW, FAST = "#b54708", "#00639c"       # orange and blue: told apart by every kind of eye
INK, GREY, LINE, PAPER = "#16232e", "#52606b", "#c4ccd3", "#ffffff"
WARM, COOL, PALE = "#fbe3cf", "#cfe6f5", "#edf1f4"
FONT = "'Source Sans 3', 'Segoe UI', 'Liberation Sans', sans-serif"
MONO = "Inconsolata, 'DejaVu Sans Mono', monospace"

Point = Tuple[float, float]


def number(value: float) -> str:
    """A coordinate, short: two decimals at most."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def text_width(text: str, size: float = LEAST, mono: bool = False) -> float:
    """About how wide a text is: enough to keep labels apart."""
    return len(text) * size * (0.5 if mono else 0.53)


class Drawing:
    """Collects shapes; ``svg()`` writes them."""

    def __init__(self, title: str, height: float, width: float = WIDTH) -> None:
        self.title, self.width, self.height = title, width, height
        self.parts: List[str] = []

    def add(self, tag: str, text: str = "", **attributes: object) -> None:
        """One element; underscores in names stand for hyphens."""
        written = "".join(
            f' {name.replace("_", "-")}="{self._value(value)}"'
            for name, value in attributes.items() if value is not None)
        end = f">{escape(text, quote=False)}</{tag}>" if text else "/>"
        self.parts.append(f"<{tag}{written}{end}")

    @staticmethod
    def _value(value: object) -> str:
        return number(value) if isinstance(value, (int, float)) else escape(str(value))

    def box(self, x: float, y: float, width: float, height: float, fill: str = PALE,
            edge: str = "none", thick: float = 2, round_by: float = 0) -> None:
        """A rectangle."""
        self.add("rect", x=x, y=y, width=width, height=height, fill=fill, stroke=edge,
                 stroke_width=thick if edge != "none" else None, rx=round_by or None)

    def line(self, points: Iterable[Point], colour: str = INK, thick: float = 3,
             dash: str = "") -> None:
        """A line through points."""
        path = " ".join(f"{number(x)},{number(y)}" for x, y in points)
        self.add("polyline", points=path, fill="none", stroke=colour, stroke_width=thick,
                 stroke_dasharray=dash or None, stroke_linejoin="round")

    def area(self, points: Sequence[Point], fill: str) -> None:
        """A filled polygon."""
        self.add("polygon", points=" ".join(f"{number(x)},{number(y)}" for x, y in points),
                 fill=fill)

    def dot(self, x: float, y: float, colour: str = INK, radius: float = 7) -> None:
        """A round mark."""
        self.add("circle", cx=x, cy=y, r=radius, fill=colour)

    def square(self, x: float, y: float, colour: str = INK, side: float = 13) -> None:
        """A square mark, so that two series differ without colour."""
        self.box(x - side / 2, y - side / 2, side, side, fill=colour)

    def arrow(self, start: Point, tip: Point, colour: str = INK, thick: float = 4) -> None:
        """A straight arrow."""
        (x0, y0), (x1, y1) = start, tip
        length = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5 or 1
        dx, dy = (x1 - x0) / length, (y1 - y0) / length
        back = (x1 - 16 * dx, y1 - 16 * dy)
        self.line([start, back], colour, thick)
        self.area([tip, (back[0] - 9 * dy, back[1] + 9 * dx),
                   (back[0] + 9 * dy, back[1] - 9 * dx)], colour)

    def text(self, x: float, y: float, text: str, size: float = 26, colour: str = INK,
             anchor: str = "start", bold: bool = False, mono: bool = False) -> None:
        """One line of text; ``y`` is its base line."""
        if size < LEAST:
            raise ValueError(f"'{text}': letters of {size} are too small for the back row")
        if not text:
            return
        self.add("text", text, x=x, y=y, font_size=size, fill=colour,
                 text_anchor=None if anchor == "start" else anchor,
                 font_weight=600 if bold else None, font_family=MONO if mono else None)

    def svg(self) -> str:
        """The whole picture."""
        head = (f'<svg xmlns="http://www.w3.org/2000/svg" width="{number(self.width)}" '
                f'height="{number(self.height)}" viewBox="0 0 {number(self.width)} '
                f'{number(self.height)}" role="img" font-family="{FONT}">')
        title = f"<title>{escape(self.title, quote=False)}</title>"
        return "\n".join([head, title, *self.parts, "</svg>"]) + "\n"
