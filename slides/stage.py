"""Pictures of the ideas that every deck leans on."""
from __future__ import annotations

import re
from typing import List, Sequence

from .charts import Series, curves
from .svg import FAST, GREY, INK, WIDTH, Drawing, text_width


def speedup(share: float, factor: float) -> float:
    """Amdahl's law: the whole's speedup when a share of its time becomes faster by a factor."""
    return 1 / (1 - share + share / factor)


def amdahl(title: str, shares: Sequence[int]) -> Drawing:
    """One curve for each share, up to a part that is 32 times as fast."""
    roles = ("other", "other", "slow", "fast")
    lines: List[Series] = []
    for role, share in zip(roles[-len(shares):], shares):
        points = tuple((step / 4, speedup(share / 100, step / 4)) for step in range(4, 129))
        lines.append(Series(role, f"{share} % of the time", points))
    return curves(title, lines, ("the part becomes faster by", "x"),
                  ("the whole becomes faster by", "x"), (False, False),
                  height=440)


def benchmark_line(title: str, line: str, names: Sequence[str]) -> Drawing:
    """A benchmark line large, with the meaning of each part below it."""
    parts = re.findall(r"Benchmark\S+|\d+(?: \S+/\S+)?", re.sub(r"\s+", " ", line))
    drawing = Drawing(title, 74 + 62 * len(names))
    room = WIDTH - max(0, text_width(names[-1], 30) + 22 - len(parts[-1]) * 18)
    gap = (room - sum(len(part) for part in parts) * 18) / max(1, len(parts) - 1)
    x = 0.0
    for index, (part, name) in enumerate(zip(parts, names)):
        width, y = len(part) * 18, 102 + 62 * (len(names) - 1 - index)
        drawing.text(x, 40, part, 36, INK, bold=True, mono=True)
        drawing.line([(x, 56), (x + width, 56)], FAST, 4)
        drawing.line([(x + 8, 56), (x + 8, y + 8)], GREY, 3)
        drawing.text(x + 22, y + 14, name, 30, INK)
        x += width + gap
    return drawing
