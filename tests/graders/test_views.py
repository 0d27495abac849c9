"""Tables of profiles: numbers, order, units, source lines."""
from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Dict, List

import pytest
from fixture_lab import REPOSITORY, Done
from hypothesis import given, settings
from hypothesis import strategies as st
from made_profiles import MS, profile, rows, write

from graders import profile as profiles, units, views
from graders.model import GraderError
from graders.profile import Profile, ValueType

STACKS = st.dictionaries(st.lists(st.sampled_from("abcd"), min_size=1, max_size=5).map(";".join),
                         st.integers(1, 99), min_size=1, max_size=6)


def top(made: Profile, **options: bool) -> "views.Top":
    return views.top(made, made, 0, **options)     # type: ignore[arg-type]


def graders(*arguments: object) -> Done:
    done = subprocess.run([sys.executable, "-m", "graders", *map(str, arguments)], cwd=REPOSITORY,
                          capture_output=True, text=True, check=False, timeout=60)
    return Done(done.returncode, done.stdout, done.stderr)


@given(STACKS)
@settings(max_examples=80, deadline=None)
def test_flat_and_cum_are_what_they_say(stacks: Dict[str, int]) -> None:
    table = views.top(profile(stacks), profile(stacks), 0)
    for row in table.rows:
        assert row.flat == sum(n for stack, n in stacks.items() if stack.split(";")[-1] == row.name)
        assert row.cum == sum(n for stack, n in stacks.items() if row.name in stack.split(";"))
    assert table.total == sum(stacks.values())
    assert [row.flat for row in table.rows] == sorted((row.flat for row in table.rows),
                                                      reverse=True)


def test_recursion_counts_once() -> None:
    table = top(profile({"main;f;f;f": 5, "main;f;g;f": 2}))
    assert {row.name: (row.flat, row.cum) for row in table.rows} == {
        "f": (7, 7), "main": (0, 7), "g": (0, 2)}


def test_equal_rows_are_in_the_order_of_their_names() -> None:
    names = [row.name for row in top(profile({"c": 1, "a": 1, "b": 1, "z;b": 1})).rows]
    assert names == ["b", "a", "c", "z"]


def test_what_is_inlined_has_a_row_and_a_remark() -> None:
    table = top(profile({"main;outer+inner": 3, "main;outer+both": 1, "main;both": 1}))
    assert [row.name for row in table.rows] == [
        "inner (inline)", "both (partial-inline)", "main", "outer"]


def test_sorting_by_cum_and_a_number_of_rows() -> None:
    made = profile({"main;a;b": 3, "main;c": 4})
    text = views.top_text(views.top(made, made, 0, count=2, by_cum=True))
    assert [row[-1] for row in rows(text)] == ["main", "c"]
    assert "Showing top 2 nodes out of 4" in text
    assert "Showing nodes accounting for 4, 57.14% of 7 total" in text


def test_small_functions_are_left_out_and_counted() -> None:
    made = profile({"main;big": 1000, "main;tiny": 4, "main;tiny;less": 1})
    text = views.top_text(top(made))
    assert "Dropped 1 node (cum <= 5)" in text
    assert [row[-1] for row in rows(text)] == ["big", "tiny", "main"]


def test_a_difference_shows_signs() -> None:
    made = profiles.difference(profile({"main;a": 9, "main;b": 2}), profile({"main;b": 6}))
    assert [row[:1] + row[3:4] for row in rows(views.top_text(top(made)))] == [
        ["9", "9"], ["-4", "-4"], ["0", "5"]]


def test_the_header_says_what_was_measured() -> None:
    made = profile({"main;work": 30, "lostProfileEvent": 10}, duration_nanos=500 * MS,
                   time_nanos=10 ** 18, comments=("workload 7", "#internal"))
    text = views.top_text(views.top(made, made, 1, notes=("the file has changed",)))
    header = text.splitlines()
    assert header[:3] == ["File: app", "workload 7", "Type: cpu"]
    assert "Time: 2001-09-09" in text
    assert "Duration: 500ms, Total samples = 400ms (80.00%)" in header
    assert "Lost: 100ms, 25.00%: samples that the program could not keep" in header
    assert "Note: the file has changed" in header and "internal" not in text


def test_a_profile_without_samples() -> None:
    made = profile({})
    assert "Showing nodes accounting for 0, 0% of 0 total" in views.top_text(top(made))
    with pytest.raises(GraderError, match="no function with samples has 'x' in its name"):
        views.listings(made, 0, "x")


def test_functions_without_a_name() -> None:
    made = profile({"main;leaf": 1})
    bare = replace(made, locations=tuple(replace(item, lines=()) for item in made.locations))
    assert [row.name for row in top(bare).rows] == ["[app]"]
    lost = replace(bare, locations=tuple(replace(item, mapping=0) for item in bare.locations))
    assert [row.name for row in top(lost).rows] == ["<unknown>"]


def test_a_row_for_each_line() -> None:
    made = profile({"main:3;work:7": 2, "main:4;work:7": 1, "main:4;work:8": 1})
    table = views.top(made, made, 0, lines=True)
    assert {row.name: (row.flat, row.cum) for row in table.rows} == {
        "work app.c:7": (3, 3), "work app.c:8": (1, 1), "main app.c:3": (0, 2),
        "main app.c:4": (0, 2)}


@pytest.mark.parametrize("value, unit, text", [
    (0, "nanoseconds", "0"), (1, "nanoseconds", "1ns"), (999, "ns", "999ns"),
    (1500, "nanoseconds", "1.50us"), (90 * 10 ** 9, "nanoseconds", "90s"),
    (7200 * 10 ** 9, "nanoseconds", "2hrs"), (-1500, "nanoseconds", "-1.50us"),
    (3, "seconds", "3s"), (1536, "bytes", "1.50kB"), (5 << 30, "bytes", "5GB"),
    (512, "kB", "512kB"), (12, "count", "12"), (12, "frogs", "12")])
def test_amounts(value: int, unit: str, text: str) -> None:
    assert units.label(value, unit) == text


@pytest.mark.parametrize("value, whole, text", [
    (1, 1, "  100%"), (9994, 10000, "99.94%"), (99951, 100000, "  100%"), (1, 3, "33.33%"),
    (1, 200, "  0.5%"), (1, 3000, "0.033%"), (1, 10 ** 7, "1e-05%"), (-1, 4, "25.00%"),
    (5, 0, "    0%"), (2, 1, "200.00%")])
def test_percentages(value: int, whole: int, text: str) -> None:
    assert units.percentage(value, whole) == text


def test_one_table_has_one_unit() -> None:
    amounts = units.Amounts("nanoseconds", [20 * MS, 1500 * MS], 1520 * MS)
    assert [amounts.text(value) for value in (20 * MS, 1500 * MS, 0)] == ["20ms", "1500ms", "0"]
    wide = units.Amounts("nanoseconds", [MS, 1500 * MS], 1501 * MS)
    assert wide.text(MS) == "1ms" or wide.text(MS) == "0.001s"
    assert units.Amounts("bytes", [], 0).text(0) == "0"


SOURCE = """\
#include <string.h>

static int helper(int a);

static int helper(int a)
{
    return a + 1;
}

int work(int a)
{
    a += helper(a);
    return a;
}
"""


def listed(tmp_path: Path, made: Profile, pattern: str) -> List[str]:
    source = tmp_path / "app.c"
    source.write_text(SOURCE)
    made = replace(made, functions=tuple(replace(item, file=str(source))
                                         for item in made.functions))
    found = views.listings(made, 0, pattern)
    return views.list_text(made, profiles.total(made, 0), 0, found).splitlines()


def test_list_shows_the_whole_function_with_its_costs(tmp_path: Path) -> None:
    lines = listed(tmp_path, profile({"work:12;helper:7": 3, "work:12": 1, "work:13": 2}), "work")
    assert lines[0] == "Total: 6" and lines[2].startswith("work in ")
    assert lines[3].split() == "3 6 (flat, cum) 100% of the total".split()
    assert [line.split() for line in lines[4:]] == [
        [".", ".", "10", "int", "work(int", "a)"], [".", ".", "11", "{"],
        ["1", "4", "12", "a", "+=", "helper(a);"], ["2", "2", "13", "return", "a;"],
        [".", ".", "14", "}"]]


def test_a_declaration_is_not_the_functions_head(tmp_path: Path) -> None:
    lines = listed(tmp_path, profile({"helper:7": 3}), "helper")
    assert [line.split()[2] for line in lines[4:]] == ["5", "6", "7", "8"]


def test_recursion_counts_once_for_each_line(tmp_path: Path) -> None:
    lines = listed(tmp_path, profile({"work:12;work:12;work:13": 5}), "work")
    assert [line.split()[:3] for line in lines[4:] if line.split()[1] != "."] == [
        ["3"] and [".", "5", "12"], ["5", "5", "13"]]


def test_inlined_lines_belong_to_both_functions(tmp_path: Path) -> None:
    lines = listed(tmp_path, profile({"work:12+helper:7": 4}), ".")
    text = "\n".join(lines)
    assert text.count("(flat, cum) 100% of the total") == 2
    assert [line.split()[:3] for line in lines if " 12  " in line or " 7  " in line] == [
        ["4", "4", "7"], [".", "4", "12"]]


def test_missing_and_changed_sources_are_said(tmp_path: Path) -> None:
    made = profile({"work:12": 4, "work:0": 1})
    text = "\n".join(listed(tmp_path, replace(made, time_nanos=10 ** 18), "work"))
    assert "changed since the profile was taken" in text and "(line not known)" in text
    found = views.list_text(made, 5, 0, views.listings(made, 0, "work"))
    assert "the source is not here: app.c" in found and "    12\n" in found


def test_the_command_line(tmp_path: Path) -> None:
    one = write(tmp_path, "one.pb.gz", profile({"main;work": 3, "main;wait": 2}))
    two = write(tmp_path, "two.pb.gz", profile({"main;work": 5, "main;wait": 2}))
    done = graders("top", "--sample", "samples", one, two)
    assert (done.code, done.err) == (0, "")
    assert [row[0] for row in rows(done.out)] == ["8", "4", "0"]
    done = graders("top", "--sample", "samples", "--base", one, two)
    assert [(row[0], row[-1]) for row in rows(done.out)] == [("2", "work"), ("0", "main")]
    done = graders("top", "--cum", "--count", 1, "--focus", "wait", one)
    assert rows(done.out) == [["0", "0%", "0%", "20ms", "40.00%", "main"]]
    done = graders("top", "--from", "^work$", one)
    assert rows(done.out) == [["30ms", "60.00%", "60.00%", "30ms", "60.00%", "work"]]
    done = graders("list", one, "work")
    assert done.code == 0 and "(flat, cum) 60.00% of the total" in done.out


@pytest.mark.parametrize("arguments, words", [
    (["top", "nowhere.pb.gz"], "nowhere.pb.gz: cannot be read: No such file"),
    (["top", "Makefile"], "Makefile: is text, and no pprof profile"),
    (["top", "--count", "x", "FILE"], "'x' is not a number of rows"),
    (["top", "--sample", "x", "FILE"], "--sample 'x': this profile has samples, cpu"),
    (["top", "--focus", "(", "FILE"], "'(' is no regular expression"),
    (["list", "FILE", "nosuch"], "no function with samples has 'nosuch' in its name"),
    (["list", "main", "FILE"], "main: cannot be read"),
    (["top"], "the following arguments are required: FILE")])
def test_errors_are_one_line(tmp_path: Path, arguments: List[str], words: str) -> None:
    path = str(write(tmp_path, "a.pb.gz", profile({"main;work": 3})))
    done = graders(*(path if word == "FILE" else word for word in arguments))
    assert done.code == 2 and done.out == ""
    assert words in done.err and done.err.count("\n") == 1 and "Traceback" not in done.err


def test_no_colour_and_no_control_characters_in_a_pipe(tmp_path: Path) -> None:
    path = write(tmp_path, "odd.pb.gz", profile({"main;\x1b[31mred\nline": 3}))
    done = graders("top", path)
    assert "\x1b" not in done.out and "\\x1b[31mred" in done.out
    assert "\x1b[1m" in views.top_text(top(profile({"a": 1})), colour=True)


def test_a_closed_pipe_ends_it_quietly(tmp_path: Path) -> None:
    path = write(tmp_path, "many.pb.gz", profile({f"main;f{n}": 1 for n in range(150)}))
    command = f"{sys.executable} -m graders top {path} | true"
    for _ in range(3):
        done = subprocess.run(["sh", "-c", command], cwd=REPOSITORY, capture_output=True,
                              env={**os.environ, "PYTHONUNBUFFERED": "1"}, check=True)
        assert done.stderr == b""


def test_an_old_locale_can_print_any_name(tmp_path: Path) -> None:
    path = write(tmp_path, "name.pb.gz", profile({"caf\u00e9": 3}))
    done = subprocess.run([sys.executable, "-m", "graders", "top", str(path)], cwd=REPOSITORY,
                          capture_output=True, check=True,
                          env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert b"caf\\xe9" in done.stdout


def test_a_type_in_another_unit() -> None:
    made = replace(profile({"a": 3}), sample_types=(ValueType("space", "bytes"),
                                                    ValueType("x", "frogs")))
    assert rows(views.top_text(top(made)))[0][0] == "3B"
    assert rows(views.top_text(views.top(made, made, 1)))[0][0] == "30000000frogs"
