"""Amounts as pprof writes them: 33.82ms, 1.50s, 2.25MB, 99.41%."""
from __future__ import annotations

from typing import Dict, Iterable, NamedTuple, Optional, Tuple

COUNTS = ("count", "sample", "unit", "minimum", "auto")     # units that are not worth a word


class Family(NamedTuple):
    """Units of one kind, from the smallest, with their factors; each by all of its names."""
    units: Tuple[Tuple[str, float], ...]
    names: Dict[str, str]
    usual: str              # the unit of amounts that are smaller than the smallest unit


FAMILIES = (
    Family((("B", 1), ("kB", 2 ** 10), ("MB", 2 ** 20), ("GB", 2 ** 30), ("TB", 2 ** 40),
            ("PB", 2 ** 50)),
           {"b": "B", "byte": "B", "kb": "kB", "kbyte": "kB", "kilobyte": "kB", "mb": "MB",
            "mbyte": "MB", "megabyte": "MB", "gb": "GB", "gbyte": "GB", "gigabyte": "GB",
            "tb": "TB", "tbyte": "TB", "terabyte": "TB", "pb": "PB", "pbyte": "PB",
            "petabyte": "PB"}, "B"),
    Family((("ns", 1), ("us", 1e3), ("ms", 1e6), ("s", 1e9), ("hrs", 3.6e12)),
           {"ns": "ns", "nanosecond": "ns", "us": "us", "\u03bcs": "us", "microsecond": "us",
            "ms": "ms", "millisecond": "ms", "s": "s", "sec": "s", "second": "s", "hr": "hrs",
            "hour": "hrs"}, "s"),
)


class Amounts:
    """Writes amounts of one table: all in the same unit, so that they can be compared."""

    def __init__(self, unit: str, shown: Iterable[int], total: int) -> None:
        self._from = unit
        self.unit = _common_unit(unit, [abs(value) for value in shown if value], abs(total))

    def text(self, value: int) -> str:
        return label(value, self._from, self.unit)


def label(value: int, unit: str, target: str = "auto") -> str:
    """The amount with its unit; ``auto`` takes the largest unit that gives 1 or more."""
    scaled, word = scale(value, unit, target)
    text = f"{scaled:.2f}"
    text = text[:-3] if text.endswith(".00") else text
    return "0" if text in ("0", "-0") else text + word


def scale(value: int, unit: str, target: str) -> Tuple[float, str]:
    """The amount in another unit, and the word for that unit ("" for plain counts)."""
    if value < 0:
        scaled, word = scale(-value, unit, target)
        return -scaled, word
    for family in FAMILIES:
        name = _name(family, unit)
        if name:
            factors = dict(family.units)
            base = value * factors[name]
            word = _largest(family, base) if target in ("auto", "minimum") else \
                _name(family, target) or family.usual
            return base / factors[word], word
    return float(value), "" if target in COUNTS else target


def percentage(value: int, whole: int) -> str:
    """The share in six columns; two digits at least are right. Without a sign, as pprof has it."""
    ratio = abs(value / whole) * 100 if whole else 0.0
    if 99.95 <= ratio <= 100.05:
        return "  100%"
    return f"{ratio:5.2f}%" if ratio >= 1 else f"{ratio:5.2g}%"


def _common_unit(unit: str, shown: "list[int]", total: int) -> str:
    """That of the least amount; but where the largest is far larger, that of 100 times it."""
    least, most = min(shown, default=total), total
    word = scale(least, unit, "minimum")[1]
    if word != scale(most, unit, "minimum")[1] and least * 100 < most:
        word = scale(100 * least, unit, "minimum")[1]
    return word or unit


def _name(family: Family, unit: str) -> Optional[str]:
    word = unit.lower()
    return family.names.get(word[:-1] if len(word) > 2 and word.endswith("s") else word)


def _largest(family: Family, base: float) -> str:
    fitting = [name for name, factor in family.units if base >= factor]
    return fitting[-1] if fitting else family.usual
