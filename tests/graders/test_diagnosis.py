"""answers.ini: friendly to read, exact about what is wrong, silent about the right answer."""
from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Dict, Optional

import pytest
from hypothesis import given, settings, strategies as st

from graders import diagnosis
from graders.model import Answer, GraderError, Lab, Question

HOW = "make lab03-bench"
EXPONENT = Question(
    name="exponent", ask="Which power of n?", kind="number", measure="growth_exponent",
    low=Fraction(9, 5), high=Fraction(11, 5), tolerance=Fraction(1, 5), sizes=(1,),
    machine=False, how=HOW)
SHARE = replace(EXPONENT, name="share", low=None, high=None)
FUNCTION = replace(EXPONENT, name="function", kind="word", low=None, high=None, tolerance=None,
                   measure="", words=("join_fields", "append"))
LAB = Lab(id="03", topic="t", title="T", path=Path("labs/03_t"), solution=Path("solutions/03_t"),
          minutes=30, difficulty=1, clock="cpu", bar=Fraction(4), n=1, oracle_sizes=(1,),
          points=(60, 20, 20), evidence=(), questions=(EXPONENT, SHARE, FUNCTION), hints=())


def answers(tmp_path: Path, text: str, **measured: float) -> Dict[str, Answer]:
    path = tmp_path / "answers.ini"
    path.write_text(text, encoding="utf-8")
    found = diagnosis.check(LAB, path, measured)
    assert [answer.question.name for answer in found] == ["exponent", "share", "function"]
    return {answer.question.name: answer for answer in found}


def exponent(tmp_path: Path, value: str, measured: Optional[float] = None) -> Answer:
    known = {} if measured is None else {"exponent": measured}
    return answers(tmp_path, f"[answers]\nexponent = {value}\n", **known)["exponent"]


@pytest.mark.parametrize("value", [
    "2", "2.0", "~2", "~ 2", "2x", "2 x", "2X", "2\u00d7", "2 times", "about 2", "+2", "1.8",
    "2.2", "2e0", "2.", "20e-1", "2   # my guess", "2%", "2 %", "2 ; measured", "\u22482", "= 2"])
def test_right_in_any_notation(tmp_path: Path, value: str) -> None:
    answer = exponent(tmp_path, value)
    assert answer.passed and answer.text.endswith("is right")


@pytest.mark.parametrize("value, number", [
    ("512,000", 512000), ("1,000,000", 1000000), ("~104,936.0", 104936),
    ("72.41%", Fraction("72.41"))])
def test_numbers_are_read_as_reports_print_them(value: str, number: Fraction) -> None:
    assert diagnosis.parse_number(value) == (number, "")


@pytest.mark.parametrize("value", ["1.79", "2.21", "-2", "0", "3", "2e9", "9" * 18])
def test_wrong_names_the_command_and_not_the_answer(tmp_path: Path, value: str) -> None:
    answer = exponent(tmp_path, value)
    assert not answer.passed
    assert answer.text == f"{value} is not what slow.c does; look again: {HOW}"


def test_all_wrong_answers_get_the_same_words(tmp_path: Path) -> None:
    near, far = exponent(tmp_path, "1.5", 1.99), exponent(tmp_path, "9.7", 1.99)
    assert near.text.replace("1.5", "9.7", 1) == far.text
    assert "1.99" not in near.text and near.measured == 1.99


@pytest.mark.parametrize("value, advice", [
    ("1,5", "write the decimals after a point: 1.5"), ("~1,5x", "after a point: 1.5"),
    ("n^2", "write a number only"), ("quadratic", "write a number only"),
    ("2 or 3", "write a number only"), ("nan", "write a number only"), ("inf", "number only"),
    ("1e999999999", "write a number only"), ("x", "write a number only"),
    ("__import__('os')", "write a number only"), ("9" * 5000, "write a number only"),
    ("10,00,000", "write a number only"), ("0,512", "after a point: 0.512")])
def test_what_is_no_number_is_explained(tmp_path: Path, value: str, advice: str) -> None:
    answer = exponent(tmp_path, value)
    assert not answer.passed and advice in answer.text and len(answer.text) < 120


def test_a_measurement_is_accepted_within_the_tolerance(tmp_path: Path) -> None:
    text = "[answers]\nshare = 1.2\n"
    assert answers(tmp_path, text, share=1.0)["share"].passed           # the limit belongs to it
    assert answers(tmp_path, text, share=1.5)["share"].passed
    assert not answers(tmp_path, text, share=0.99)["share"].passed
    assert not answers(tmp_path, text)["share"].passed
    assert not answers(tmp_path, text, share=float("nan"))["share"].passed
    assert not answers(tmp_path, text, share=1.51)["share"].passed


def test_interval_and_measurement_are_alternatives(tmp_path: Path) -> None:
    assert exponent(tmp_path, "1.8", measured=1.0).passed
    assert exponent(tmp_path, "1.1", measured=1.0).passed
    assert not exponent(tmp_path, "1.5", measured=1.0).passed


@pytest.mark.parametrize("word", ["join_fields", "join_fields()", "`append`", "append(a, b)",
                                  "'append'"])
def test_words(tmp_path: Path, word: str) -> None:
    assert answers(tmp_path, f"[answers]\nfunction = {word}\n")["function"].passed


@pytest.mark.parametrize("word", ["join", "append2", "APPEND", "2", "()"])
def test_wrong_words(tmp_path: Path, word: str) -> None:
    answer = answers(tmp_path, f"[answers]\nfunction = {word}\n")["function"]
    assert not answer.passed and HOW in answer.text


@pytest.mark.parametrize("text", ["", "[answers]\n", "[answers]\nexponent =\n", "# nothing\n",
                                  "[answers]\nexponent = # later\n", "\ufeff[answers]\r\n"])
def test_blank_says_how_to_find_it(tmp_path: Path, text: str) -> None:
    answer = answers(tmp_path, text)["exponent"]
    assert (answer.passed, answer.given) == (False, "")
    assert answer.text == f"not answered yet: {HOW}"


def test_no_file_is_blank(tmp_path: Path) -> None:
    for path in (None, tmp_path / "answers.ini"):
        assert all(not answer.given for answer in diagnosis.check(LAB, path, {}))


def test_indentation_and_case_do_not_matter(tmp_path: Path) -> None:
    found = answers(tmp_path, "[Answers]\n\n    share = 9\n   Exponent=2\n")
    assert found["exponent"].passed and found["share"].given == "9"


@pytest.mark.parametrize("text, line, expected", [
    ("[answers]\nexponent = 2\nexponent = 3\n", 3, "'exponent' is answered twice; delete one"),
    ("[answers]\nexponnet = 2\n", 2, "'exponnet' is not a question of lab 03; its questions are: "
                                     "exponent, share, function"),
    ("exponent = 2\n", 1, "answers stand below a line [answers]; put it above this one"),
    ("[answers]\n\nexponent 2\n", 3, "'exponent 2' is no answer; write 'question = answer'"),
    ("[answer]\nexponent = 2\n", 1, "the only section is [answers], this is '[answer]'"),
    ("[answers\nexponent = 2\n", 1, "the only section is [answers]"),
    ("[answers]\n= 2\n", 2, "'' is not a question"),
    ("[answers]\n\x1b[31m = 2\n", 2, "'\\x1b[31m' is not a question")])
def test_malformed_files_name_the_line(tmp_path: Path, text: str, line: int, expected: str) -> None:
    with pytest.raises(GraderError) as caught:
        answers(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path}/answers.ini:{line}: ")
    assert expected in str(caught.value) and "\n" not in str(caught.value)


def test_unreadable_files(tmp_path: Path) -> None:
    path = tmp_path / "answers.ini"
    path.write_bytes(b"[answers]\nexponent = \xff\n")
    with pytest.raises(GraderError, match="byte 21 is not UTF-8; save the file as UTF-8"):
        diagnosis.check(LAB, path, {})
    with pytest.raises(GraderError, match="cannot be read"):
        diagnosis.check(LAB, tmp_path, {})


@given(st.binary(max_size=80))
@settings(max_examples=300, deadline=None)
def test_any_file_gives_answers_or_one_line(tmp_path_factory: pytest.TempPathFactory,
                                            content: bytes) -> None:
    path = tmp_path_factory.mktemp("answers") / "answers.ini"
    path.write_bytes(b"[answers]\nexponent =" + content)
    try:
        found = diagnosis.check(LAB, path, {"exponent": 2.0})
    except GraderError as error:
        assert "\n" not in str(error)
    else:
        assert len(found) == 3


@given(st.fractions(-1000, 1000), st.floats(0.001, 1000))
def test_acceptance_is_exactly_interval_or_tolerance(number: Fraction, measured: float) -> None:
    number = Fraction(round(number * 1000), 1000)
    text = f"{float(number):.3f}"
    _, expected_text = diagnosis._judge(EXPONENT, text, measured)
    target = Fraction(measured)
    right = (Fraction(9, 5) <= number <= Fraction(11, 5)
             or abs(number - target) <= target / 5)
    assert diagnosis._judge(EXPONENT, text, measured)[0] == right, expected_text
