"""What is done with profiles: adding, subtracting, cutting; every number is known."""
from __future__ import annotations

from dataclasses import replace
from typing import Dict, List

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_profiles import TYPES, full, profile

from graders import profile as profiles
from graders.model import GraderError
from graders.profile import Label, Location, Mapping, Profile, Sample, ValueType

NAMES = st.sampled_from("abc")
STACKS = st.dictionaries(st.lists(NAMES, min_size=1, max_size=4).map(";".join),
                         st.integers(1, 9), min_size=1, max_size=5)


def stacks(made: Profile) -> Dict[str, int]:
    """Back to the notation of made_profiles, without lines; equal stacks are added up."""
    found: Dict[str, int] = {}
    for sample in made.samples:
        frames = ["+".join(reversed(made.names(number))) for number in reversed(sample.locations)]
        stack = ";".join(frames)
        found[stack] = found.get(stack, 0) + sample.values[0]
    return found


@given(STACKS, STACKS)
@settings(max_examples=60, deadline=None)
def test_a_sum_has_what_its_parts_have(one: Dict[str, int], two: Dict[str, int]) -> None:
    whole = profiles.merged([profile(one), profile(two)])
    assert stacks(whole) == {stack: one.get(stack, 0) + two.get(stack, 0)
                             for stack in {**one, **two}}
    assert len({sample.locations for sample in whole.samples}) == len(whole.samples)


@given(STACKS, STACKS)
@settings(max_examples=60, deadline=None)
def test_a_difference_may_be_negative_and_forgets_what_is_equal(one: Dict[str, int],
                                                                two: Dict[str, int]) -> None:
    found = stacks(profiles.difference(profile(one), profile(two)))
    expected = {stack: one.get(stack, 0) - two.get(stack, 0) for stack in {**one, **two}}
    assert found == {stack: value for stack, value in expected.items() if value}
    assert profiles.difference(profile(one), profile(one)).samples == ()


def test_the_same_code_at_other_addresses_is_the_same() -> None:
    here = profile({"main;work": 1})
    there = replace(here, mappings=(Mapping(1, 0x701000, 0x709000, 0, "/opt/app"),),
                    locations=tuple(replace(item, address=item.address + 0x700000)
                                    for item in here.locations))
    whole = profiles.merged([here, there])
    assert len(whole.samples) == 1 and whole.samples[0].values == (2, 20_000_000)
    assert len(whole.mappings) == 1 and len(whole.locations) == 2


def test_labels_keep_samples_apart() -> None:
    made = profile({"a": 1})
    tied = replace(made, samples=(replace(made.samples[0], labels=(Label("k", "v"),)),))
    assert len(profiles.merged([made, tied]).samples) == 2
    assert len(profiles.merged([tied, tied]).samples) == 1


def test_headers_are_combined() -> None:
    one = profile({"a": 1}, time_nanos=500, duration_nanos=3, comments=("x",))
    two = profile({"a": 1}, time_nanos=400, duration_nanos=4, comments=("x", "y"), period=5)
    whole = profiles.merged([one, two])
    assert (whole.time_nanos, whole.duration_nanos, whole.comments) == (400, 7, ("x", "y"))
    assert whole.period == one.period and profiles.merged([one]) is one


def test_only_common_sample_types_are_kept() -> None:
    one = profile({"a": 2})
    extra = ValueType("faults", "count")
    two = replace(one, sample_types=(extra, TYPES[1]),
                  samples=(replace(one.samples[0], values=(9, 30)),))
    whole = profiles.merged([one, two])
    assert whole.sample_types == TYPES[1:]
    assert whole.samples[0].values == (20_000_030,)
    with pytest.raises(GraderError, match="no sample type in common"):
        profiles.merged([one, replace(two, sample_types=(extra, extra))])


def test_units_must_agree() -> None:
    one = profile({"a": 2})
    two = replace(one, sample_types=(TYPES[0], ValueType("cpu", "bytes")))
    with pytest.raises(GraderError, match="cpu in 'nanoseconds', and cpu in 'bytes'"):
        profiles.merged([one, two])


def test_the_column_that_is_shown() -> None:
    made = profile({"a": 1})
    assert made.index() == 1 and made.index("samples") == 0
    assert replace(made, default_sample_type="samples").index() == 0
    assert replace(made, default_sample_type="gone").index() == 1
    with pytest.raises(GraderError, match="--sample 'bytes': this profile has samples, cpu"):
        made.index("bytes")


PRUNED = {"main;work;malloc;inner": 2, "main;malloc": 1, "malloc;top": 4, "main;calloc;deep": 8}


@pytest.mark.parametrize("drop, keep, expected", [
    ("malloc|calloc", "", {"main;work": 2, "main": 9, "malloc;top": 4}),
    (".*alloc", "calloc", {"main;work": 2, "main": 1, "malloc;top": 4, "main;calloc;deep": 8}),
    ("loc", "", PRUNED), ("", "main", PRUNED)])
def test_frames_that_the_profile_calls_uninteresting(drop: str, keep: str,
                                                     expected: Dict[str, int]) -> None:
    made = profile(PRUNED, drop_frames=drop, keep_frames=keep)
    assert stacks(profiles.pruned(made)) == expected


def test_an_inlined_frame_is_cut_within_its_address() -> None:
    made = profile({"main;outer+malloc+inner;leaf": 1}, drop_frames="malloc")
    assert stacks(profiles.pruned(made)) == {"main;outer": 1}


def test_argument_lists_do_not_matter_when_frames_are_dropped() -> None:
    made = profile({"main;ns::make(int, char);deep": 1}, drop_frames="ns::make")
    assert stacks(profiles.pruned(made)) == {"main": 1}


@pytest.mark.parametrize("pattern", ["(", "(a+)+", "a" * 1001, "*", "x{99999999999}"])
def test_patterns_of_a_file_do_no_harm(pattern: str) -> None:
    made = profile({"main;" + "a" * 60: 1}, drop_frames=pattern)
    assert profiles.pruned(made) == made


def test_focus_keeps_whole_stacks() -> None:
    made = profile({"main;work;strlen": 3, "main;idle": 5})
    assert stacks(profiles.focused(made, "str")) == {"main;work;strlen": 3}
    assert stacks(profiles.focused(made, "^main$")) == stacks(made)
    assert stacks(profiles.focused(made, "app.c")) == stacks(made)
    assert stacks(profiles.focused(made, "/opt/")) == stacks(made)
    assert stacks(profiles.focused(made, "other")) == {}


def test_below_begins_at_the_first_match() -> None:
    made = profile({"main;work;help;work;leaf": 3, "main;idle": 5, "main;x+work+y;z": 1})
    assert stacks(profiles.below(made, "^work$")) == {"work;help;work;leaf": 3, "work+y;z": 1}
    assert stacks(profiles.below(made, "main")) == stacks(made)


@pytest.mark.parametrize("change", [profiles.focused, profiles.below])
def test_a_wrong_pattern_is_explained(change: object) -> None:
    with pytest.raises(GraderError, match=r"'work\(' is no regular expression: .*write \\\("):
        change(profile({"a": 1}), "work(")    # type: ignore[operator]


@pytest.mark.parametrize("name, counted", [
    ("lostProfileEvent", True), ("runtime/pprof.lostProfileEvent", True), ("lostProfile", False),
    ("my_lostProfileEvent", False)])
def test_lost_samples(name: str, counted: bool) -> None:
    made = profile({"main;work": 3, f"main;{name}": 2, f"{name};work": 7})
    assert profiles.lost(made, 0) == (2 if counted else 0)


def test_the_total_has_no_sign() -> None:
    made = profiles.difference(profile({"a": 5, "b": 1}), profile({"b": 4}))
    assert profiles.total(made, 0) == 8


def test_samples_without_a_stack_are_samples() -> None:
    made = replace(full(), samples=(Sample((), (1, 2)),), locations=(Location(1),))
    assert profiles.merged([made, made]).samples == (Sample((), (2, 4)),)
    assert profiles.lost(made, 0) == 0 and profiles.total(made, 1) == 2
    lines: List[str] = made.names(1)
    assert lines == []
