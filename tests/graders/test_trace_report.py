"""The report: sums are exact, states and waits make up a life, commands say what is wrong."""
from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, Tuple

import pytest
from fixture_lab import REPOSITORY, Done
from hypothesis import given, settings
from hypothesis import strategies as st
from made_traces import MS, Made

from graders import trace_stats, trace_views
from graders.clip import clip
from graders.timeline import BLOCKED, IDLE, RUNNABLE, RUNNING, Times, Timeline
from graders.tracks import BEGIN, END


def graders(*arguments: object) -> Done:
    done = subprocess.run([sys.executable, "-m", "graders", *map(str, arguments)], cwd=REPOSITORY,
                          capture_output=True, text=True, check=False, timeout=60)
    return Done(done.returncode, done.stdout, done.stderr)


def report(made: Made) -> trace_views.Report:
    return trace_views.report(made.timeline(), ["made"])


# regions and tasks --------------------------------------------------------------------------------


def test_regions_count_self_total_and_waits() -> None:
    made = Made()
    row = made.thread("t")
    row.slice(0, 100, "outer")
    row.slice(10, 40, "inner")
    row.wait(20, 25, "read")
    row.wait(50, 57, "lock")
    row.slice(60, 90, "outer")          # inside itself: its total counts once
    rows = {item.name: item for item in report(made).regions}
    outer, inner = rows["outer"], rows["inner"]
    assert (outer.count, outer.total, outer.self, outer.blocked) == (2, 100 * MS, 70 * MS, 7 * MS)
    assert (inner.count, inner.total, inner.self, inner.blocked) == (1, 30 * MS, 30 * MS, 5 * MS)


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=60))
@settings(max_examples=60, deadline=None)
def test_percentiles_are_durations_that_occurred(lengths: List[int]) -> None:
    made = Made()
    row, time = made.thread("t"), 0
    for length in lengths:
        row.slice(time, time + length, "r")
        time += length + 1
    found = report(made).regions[0]
    ordered = sorted(length * MS for length in lengths)
    for share in (.5, .9, .99):
        value = found.at(share)
        assert value in ordered
        assert sum(item <= value for item in ordered) >= share * len(ordered)
        assert sum(item < value for item in ordered) < share * len(ordered)
    assert found.max == ordered[-1] and found.total == sum(ordered) == found.self


def test_a_tasks_story() -> None:
    made = Made()
    one, two = made.thread("one"), made.thread("two")
    made.task(3, "request", 0, 100)
    made.task(4, "request", 0, 20)
    one.slice(10, 30, "request", "work", task=3)
    one.slice(12, 20, "parse")
    one.wait(22, 29, "lock", "get (c.c:3) < main (c.c:9)")
    two.slice(25, 60, "request", "work", task=3)
    two.slice(30, 50, "render")
    made.sched(two, [(20, 60, 20, 20)])
    found = report(made)
    row = found.tasks[0]
    assert (row.name, row.count, row.total, row.self) == ("request", 2, 120 * MS, 55 * MS)
    story = found.stories[0]
    assert story.task.id == 3 and len(story.threads) == 2
    assert story.waits == [("lock", "get (c.c:3) < main (c.c:9)", 7 * MS)]
    assert story.regions == [("render", 20 * MS), ("parse", 8 * MS)]
    assert story.nowhere == 50 * MS                     # nobody worked for it
    assert story.runnable == 35 * MS // 2               # as the kernel's counts are, half of it
    assert story.running == 13 * MS + 35 * MS // 2
    text = trace_views.text(found, [])
    assert "100ms  request 3, from 0, on one 202, two 203" in text
    assert "lock 7ms  get (c.c:3) < main (c.c:9)" in text


def test_samples_are_added_up() -> None:
    made = Made()
    row = made.thread("t")
    for time in range(5):
        row.sample(time, "hash (h.c:4) < main (h.c:9)" if time else "main (h.c:8)")
    assert report(made).samples == (("hash", 4, 40 * MS), ("main", 1, 10 * MS))


# times --------------------------------------------------------------------------------------------


def times(made: Made, place: int = 0) -> Times:
    return made.timeline().threads[place].times


def test_a_wait_holds_the_time_for_a_processor_but_each_moment_counts_once() -> None:
    made = Made()
    row = made.thread("t")
    row.slice(0, 200, "life")
    row.wait(50, 150, "lock")           # woken at 130, it ran at 150 only
    made.sched(row, [(0, 50, 50, 0), (50, 150, 0, 20), (150, 200, 50, 0)])
    found = times(made)
    assert found == Times(running=100 * MS, runnable=20 * MS, blocked={"lock": 80 * MS})


def test_sleep_that_nobody_noted_is_idle() -> None:
    made = Made()
    row = made.thread("t")
    row.slice(0, 400, "life")
    row.wait(200, 250, "read")
    made.sched(row, [(0, 100, 100, 0), (100, 200, 10, 0), (200, 300, 40, 0)])
    assert times(made) == Times(running=150 * MS, idle=200 * MS, blocked={"read": 50 * MS})


def test_without_the_kernels_counts_what_is_not_blocked_is_unknown() -> None:
    made = Made()
    row = made.thread("t")
    row.slice(0, 100, "life")
    row.wait(10, 40, "poll")
    found = times(made)
    assert found == Times(blocked={"poll": 30 * MS}, unknown=70 * MS)
    assert not len(made.timeline().threads[0].states) or \
        set(made.timeline().threads[0].states.kind) == {BLOCKED}


def test_counts_that_come_late_are_made_good() -> None:
    """The kernel books what runs at its own ticks: some ms appear in the next interval."""
    made = Made()
    row = made.thread("t")
    row.slice(0, 1000, "life")
    for start in range(0, 1000, 20):
        row.wait(start + 10, start + 20, "sleep")
    late = [(start, start + 10, 6 if start % 20 == 0 else 4, 0) for start in range(0, 1000, 10)]
    made.sched(row, late)
    found = times(made)
    assert found.running == 500 * MS and abs(found.blocked["sleep"] - 500 * MS) <= 10 * MS


def test_a_long_wait_for_a_processor_was_before_it_was_counted() -> None:
    """It is counted when it is over: here 45 ms in an interval of 10."""
    made = Made()
    row = made.thread("t")
    row.slice(0, 400, "life")
    row.wait(200, 300, "read")          # woken at 255
    made.sched(row, [(0, 100, 100, 0), (100, 200, 100, 0), (300, 310, 10, 45), (310, 400, 90, 0)])
    found = made.timeline().threads[0]
    assert found.times == Times(running=300 * MS, runnable=45 * MS, blocked={"read": 55 * MS})
    assert (list(found.sched.start)[2:4], list(found.sched.wait)[2:4]) == (
        [255 * MS, 300 * MS], [45 * MS, 0])
    made = Made()
    row = made.thread("t")
    row.slice(0, 210, "life")
    made.sched(row, [(0, 200, 120, 10), (200, 210, 4, 36)])     # 30 of them were before 200
    found = made.timeline().threads[0]
    assert (list(found.sched.run), list(found.sched.wait)) == ([120 * MS, 4 * MS],
                                                               [40 * MS, 6 * MS])


PLAN = st.lists(st.tuples(st.sampled_from("rwbi"), st.integers(1, 40)), min_size=1, max_size=60)


@given(PLAN)
@settings(max_examples=100, deadline=None)
def test_a_known_schedule_comes_back(plan: List[Tuple[str, int]]) -> None:
    """Running, waiting, blocked and idle in any order, counted in intervals of 10 ms."""
    made = Made()
    row, time = made.thread("t"), 0
    rows: List[List[int]] = []
    row.add(0, BEGIN, "life", "region")
    for what, length in plan:
        for _ in range(length):
            if time % 10 == 0:
                rows.append([0, 0])
            rows[-1][0] += what == "r"
            rows[-1][1] += what == "w"
            time += 1
        if what == "b":
            row.wait(time - length, time, "lock")
    row.add(time, END, "", "region")
    made.sched(row, [(10 * place, min(10 * place + 10, time), run, wait)
                     for place, (run, wait) in enumerate(rows) if run or wait])
    found, want = times(made), {what: sum(length for kind, length in plan if kind == what)
                                for what in "rwbi"}
    assert found.life == time * MS
    measured = time * MS - found.unknown
    assert found.running == want["r"] * MS and found.runnable == want["w"] * MS
    asleep = (want["b"] + want["i"]) * MS
    assert abs(found.idle + sum(found.blocked.values()) + found.unknown - asleep) <= 2
    assert found.blocked.get("lock", 0) <= want["b"] * MS + 1
    assert measured >= 0 and (found.unknown <= 60 * MS or not any(map(sum, rows)))


def test_states_for_the_eye() -> None:
    made = Made()
    row = made.thread("t")
    row.slice(0, 100, "life")
    row.wait(10, 30, "lock")
    made.sched(row, [(0, 10, 9, 0), (10, 20, 0, 0.1), (30, 40, 1, 8), (40, 50, 9, 0)])
    found = made.timeline().threads[0].states
    rows = [(start // MS, (start + duration) // MS, kind)
            for start, duration, kind in zip(found.start, found.duration, found.kind)]
    assert rows == [(0, 10, RUNNING), (10, 30, BLOCKED), (30, 40, RUNNABLE), (40, 50, RUNNING),
                    (50, 100, IDLE)]


# a part -------------------------------------------------------------------------------------------


def test_a_part_of_a_trace() -> None:
    made = Made()
    row, other = made.thread("t"), made.thread("gone")
    other.slice(0, 5, "early")
    row.slice(0, 100, "outer")
    row.slice(20, 60, "inner")
    row.wait(55, 58, "read")
    row.add(50, 3, "i", "instant")
    made.sched(row, [(0, 100, 50, 10)])
    made.task(1, "job", 10, 45)
    made.counter("c", [(0, 1), (50, 2), (90, 3)])
    part = clip(made.timeline(), 40 * MS, 57 * MS)
    assert [thread.name for thread in part.threads] == ["t"]
    thread = part.threads[0]
    assert [(part.strings[name], start // MS, duration // MS) for name, start, duration in
            zip(thread.slices.name, thread.slices.start, thread.slices.duration)] == [
        ("outer", 0, 17), ("inner", 0, 17), ("read", 15, 2)]
    assert (part.duration, thread.points.time[0]) == (17 * MS, 10 * MS)
    assert (thread.sched.run[0], thread.sched.wait[0]) == (8.5 * MS, 1.7 * MS)
    assert (part.tasks[0].start, part.tasks[0].end) == (0, 5 * MS)
    assert list(part.counters[0].value) == [2]
    assert thread.times.life == 17 * MS


def test_the_whole_as_a_part_is_the_same() -> None:
    timeline = busy().timeline()
    part = clip(timeline, 0, timeline.duration)
    assert trace_stats.regions(part) == trace_stats.regions(timeline)
    assert [thread.times for thread in part.threads] == [item.times for item in timeline.threads]


# text, JSON, commands -----------------------------------------------------------------------------


def busy() -> Made:
    made = Made(command="./busy")
    for number in range(30):
        row = made.thread(f"worker-{number}")
        row.slice(0, 100 + number, "work \u20ac" if number % 2 else "rest\x1b[31m")
        row.wait(10, 60, "condition", "take (q.c:12) < run (q.c:30)", 64)
        made.sched(row, [(0, 100, 45, 5)])
    made.counter("heap live bytes", [(0, 5), (3, float("nan"))])
    return made


def save(made: Made, tmp_path: Path, name: str = "t.pftrace") -> Path:
    path = tmp_path / name
    path.write_bytes(made.bytes())
    return path


def test_the_text(tmp_path: Path) -> None:
    done = graders("trace", save(busy(), tmp_path))
    assert done.code == 0 and done.err == ""
    assert "Program: ./busy (process 100)" in done.out
    assert "Duration: 129ms, 30 threads, 181 events" in done.out.replace("182", "181")
    assert "... and 10 threads more: --top shows more rows" in done.out
    assert "30      1.50s       50ms  condition  take (q.c:12) < run (q.c:30)" in done.out
    assert "rest\\x1b[31m" in done.out and "\x1b" not in done.out
    assert all(len(line) <= 110 for line in done.out.splitlines())
    few = graders("trace", tmp_path / "t.pftrace", "--regions", "--top", "1")
    assert "and 1 region more" in few.out and "worker" not in few.out


def test_the_json_is_strict_and_has_a_version(tmp_path: Path) -> None:
    def refuse(word: str) -> None:
        raise AssertionError(word)
    done = graders("trace", "--json", save(busy(), tmp_path))
    found = json.loads(done.out, parse_constant=refuse)
    assert (found["format"], found["version"]) == ("perflab-trace", 1)
    first: Dict[str, object] = found["threads"][0]
    assert {"life_ns", "running_ns", "runnable_ns", "blocked_ns", "idle_ns"} <= first.keys()
    assert found["waits"][0]["total_ns"] == 1500 * MS
    assert found["regions"][0]["p50_ns"] == 115 * MS or found["regions"][0]["count"] == 15


def test_the_files_that_are_written(tmp_path: Path) -> None:
    one, two = save(busy(), tmp_path), save(Made(7), tmp_path, "two")
    both, page, chrome = tmp_path / "both", tmp_path / "p.html", tmp_path / "c.json"
    done = graders("trace", one, two, "-o", both, "--html", page, "--chrome", chrome)
    assert done.code == 0 and "both: 182 events" in done.out.replace("181", "182")
    assert "p.html:" in done.out and "open it in a browser" in done.out
    assert page.read_text(encoding="utf-8").startswith("<!")
    assert len(json.loads(chrome.read_text())) > 100
    assert graders("trace", both).code == 0


@pytest.mark.parametrize("arguments, words", [
    (["absent"], "absent: cannot be read: No such file"),
    (["--from", "soon", "FILE"], "'soon' is no time; write it as 1.5s or 200ms"),
    (["--from", "9s", "FILE"], "the trace has 0.129s; choose other times"),
    (["-o", "FILE", "FILE"], "is read and cannot be written too"),
    (["--html", "FILE/x.html", "FILE"], "/x.html: cannot be written"),
    (["--chrome", "FILE/x.json", "FILE"], "/x.json: cannot be written"),
    (["-o", "FILE/x", "FILE"], "/x: cannot be written"),
    (["--recover", "FILE", "FILE"], "one ring file at a time"),
    ([], "the following arguments are required: FILE"),
])
def test_mistakes_are_said_in_a_line(tmp_path: Path, arguments: List[str], words: str) -> None:
    path = str(save(busy(), tmp_path))
    done = graders("trace", *(word.replace("FILE", path) for word in arguments))
    assert done.code == 2 and words in done.err and done.err.count("\n") == 1
    assert done.err.startswith("graders: ") and done.out == ""


def test_a_range_of_time(tmp_path: Path) -> None:
    done = graders("trace", "--from", "10ms", "--to", "0.06", save(busy(), tmp_path))
    assert "Duration: 50ms" in done.out


def test_many_short_tasks_and_threads_take_no_square_of_time() -> None:
    made = Made()
    for number in range(3000):
        made.thread(f"t{number}").slice(number, number + 1, "r")
        made.task(number + 1, "job", number, number + 1)
    timeline: Timeline = made.timeline()
    assert len(timeline.tasks) == len(timeline.threads) == 3000
