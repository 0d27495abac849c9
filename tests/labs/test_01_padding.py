"""Lab 01's judge against a second opinion, and what the compiler says of slow.c's record."""
from __future__ import annotations

import re
import struct
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Dict, List, Tuple

import pytest

import judging
from labfiles import ROOT, includes
from graders import lab as labs

FOLDER = ROOT / "labs" / "01_padding"
SLOW = FOLDER / "slow.c"
AUDITS = 5
SMALL = [0, 1, 2, 7, 61, 255, 1023]
RANGES = {"vendor": 255, "pickup": 4102444800000, "passengers": 255, "distance": 40000000,
          "payment": 255, "fare": 2000000000, "disputed": 1}
BEHIND = ["pickup", "distance", "fare", "dropoff"]      # the fields that a hole stands before
Trip = Dict[str, int]


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return judging.build(FOLDER, tmp_path_factory.mktemp("judge"))


def trips(output: bytes) -> List[Trip]:
    """The rows that an output reads back: of a small table all of them."""
    rows = re.findall(r"^row (\d+): (.*)$", output.decode(), re.M)
    return [{name: int(value) for name, value in re.findall(r"(\w+) (-?\d+)", text)}
            for _, text in rows]


def limits(data: bytes) -> List[Tuple[int, int, int]]:
    """Passengers, fare and speed, for each audit of an input."""
    assert len(data) == 16 + 24 * AUDITS
    return [struct.unpack_from("<3q", data, 16 + 24 * number) for number in range(AUDITS)]


def is_above(trip: Trip, passengers: int, fare: int, speed: int) -> bool:
    """The rule of lab.h; infinite speed is above every limit, and standing still above none."""
    seconds = Fraction(trip["dropoff"] - trip["pickup"], 1000)
    too_fast = trip["distance"] / seconds > speed if seconds else trip["distance"] > 0
    return trip["passengers"] > passengers or trip["fare"] > fare or too_fast


@pytest.mark.parametrize("n", SMALL)
def test_the_oracle_audits_as_lab_h_says(judge: Path, n: int) -> None:
    data, output = judging.make(judge, 7, n)
    rows = trips(output)
    assert len(rows) == n
    for number, limit in enumerate(limits(data)):
        found = [trip for trip in rows if is_above(trip, *limit)]
        line = (f"audit {number}: trips {len(found)}, "
                f"disputed {sum(trip['disputed'] for trip in found)}, "
                f"fares {sum(trip['fare'] for trip in found)}\n")
        assert line.encode() in output
    assert output.endswith(b"one trip too many: table_add returned -1\n")


def test_seeds_decide_the_input_and_nothing_else_does(judge: Path) -> None:
    assert judging.make(judge, 1, 61) == judging.make(judge, 1, 61)
    assert judging.make(judge, 1, 61)[1] != judging.make(judge, 2, 61)[1]


def test_trips_stay_in_the_ranges_of_lab_h_and_reach_their_ends(judge: Path) -> None:
    rows = [trip for seed in range(30) for trip in trips(judging.make(judge, seed, 255)[1])]
    for name, most in RANGES.items():
        values = [trip[name] for trip in rows]
        assert (min(values), max(values)) == (0, most), name
    road = [trip["dropoff"] - trip["pickup"] for trip in rows]
    assert min(road) == 0 and max(road) == 24 * 3600 * 1000


def test_inputs_have_what_breaks_wrong_code(judge: Path) -> None:
    cases = [judging.make(judge, seed, 61) for seed in range(30)]
    found = [(trip, limit) for data, output in cases for trip in trips(output)
             for limit in limits(data)]
    assert any(trip["passengers"] == limit[0] for trip, limit in found)
    assert any(trip["fare"] == limit[1] for trip, limit in found)
    assert any(trip["distance"] * 1000 == limit[2] * (trip["dropoff"] - trip["pickup"]) > 0
               for trip, limit in found)
    assert any(struct.unpack("f", struct.pack("f", trip["distance"]))[0] != trip["distance"]
               for trip, _ in found)
    wrapped = [trip for trip, limit in found if is_above(trip, *limit) and not is_above(
        {**trip, "distance": trip["distance"] * 1000 % 2 ** 32 // 1000}, *limit)]
    assert wrapped, "a product of 32 bits makes a difference"
    for last in (0, -1):
        ends = [is_above(trips(output)[last], *limit) for data, output in cases
                for limit in limits(data)]
        assert any(ends) and not all(ends)


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_the_compiler_names_the_holes_that_the_question_asks_about(compiler: str) -> None:
    done = subprocess.run([compiler, "-Wpadded", "-fsyntax-only", str(SLOW)], check=True,
                          stderr=subprocess.PIPE, text=True)
    assert re.findall(r"to align .(\w+). ", done.stderr) == BEHIND
    fields = re.findall(r"^    \w+ (\w+);$", SLOW.read_text().partition("};")[0], re.M)
    holes = next(question for question in labs.read(FOLDER).questions
                 if question.name == "holes_behind")
    assert list(holes.words) == [fields[fields.index(name) - 1] for name in BEHIND]


def test_the_answers_are_those_of_the_record(tmp_path: Path) -> None:
    lab = labs.read(FOLDER)
    low = {question.name: question.low for question in lab.questions}
    source = tmp_path / "sizes.c"
    fields = re.findall(r"^    \w+ (\w+);$", SLOW.read_text().partition("};")[0], re.M)
    of_fields = " + ".join(f"sizeof ((struct record *)0)->{name}" for name in fields)
    source.write_text(f'#include "{SLOW}"\n'
                      f"_Static_assert(sizeof(struct record) == {low['record_size']}, \"\");\n"
                      f"_Static_assert(sizeof(struct record) - ({of_fields})"
                      f" == {low['padding_bytes']}, \"\");\n")
    subprocess.run(["gcc", *includes(FOLDER), "-fsyntax-only", str(source)], check=True)
    mib = next(question for question in lab.questions if question.name == "holes_mib")
    assert low["padding_bytes"] and mib.low and mib.high
    assert mib.low < low["padding_bytes"] * lab.n / Fraction(2 ** 20) < mib.high


def test_the_table_is_larger_than_a_cache_and_the_benchmarks_say_so() -> None:
    lab = labs.read(FOLDER)
    workload = (FOLDER / "workload.c").read_text()
    sizes = re.search(r"sizes\[\] = \{([^}]*)\}", workload)
    assert sizes and [int(size) for size in sizes[1].split(",")][-1] == lab.n
    assert 64 * lab.n > 96 << 20 and 64 * 500 <= 32 << 10
    texts = (FOLDER / "README.md").read_text(), " ".join(q.ask for q in lab.questions)
    assert all(f"{lab.n:,}" in text for text in texts)
