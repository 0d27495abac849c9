"""No text from outside can steer the terminal."""
from __future__ import annotations

from hypothesis import given, strategies as st

from graders.plain import printable, short


def test_escapes_are_shown_and_lines_stay() -> None:
    assert printable("a\x1b[31mb\x00\n\tc\r\nd\re") == "a\\x1b[31mb\\x00\n    c\nd\\x0de"
    assert printable("\u202e \ud800 \U000e0001 é") == "\\u202e \\ud800 \\U000e0001 é"


def test_short_is_one_line() -> None:
    assert short("a\n  b\tc") == "a b c"
    assert short("x" * 41) == "x" * 37 + "..." and short("x" * 40) == "x" * 40


@given(st.text(st.characters(codec=None)))
def test_nothing_unprintable_is_left(text: str) -> None:
    assert all(char.isprintable() for char in printable(text).replace("\n", ""))
    assert len(short(text)) <= 40 and short(text).isprintable()
