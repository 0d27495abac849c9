"""The page in a real Chromium, used by mouse and keys as a reader does."""
from __future__ import annotations

import json
import random
import re
import time
import urllib.parse

import made
import pytest
from made import MS, STACK, Maker

from graders import states, trace_stats
from graders.timeline import BLOCKED, REGION, WORK, Timeline
from graders.trace_findings import Finding, Place

# What the page says, as a reader sees it ----------------------------------------------------------


def address(browser):
    """What the address holds, when it has caught up with the view."""
    browser.settle()
    time.sleep(0.25)
    return dict(urllib.parse.parse_qsl(browser.run("location.hash.slice(1)")))


def view(browser):
    """The times at the left and the right edge, in ns."""
    return tuple(map(int, address(browser)["view"].split("-")))


def table(browser, name):
    """A table of the panel, all its rows: texts, and exact times where the page has them."""
    browser.run("""document.querySelectorAll('#panel .link').forEach(
        node => { if (/^all .* rows$/.test(node.textContent)) node.click(); })""")
    return browser.run(f"""[...document.querySelectorAll('#{name} tbody tr')].map(row =>
        [...row.cells].map(cell => {{
            const exact = cell.querySelector('[title$=" ns"]');
            return exact && !cell.querySelector('.share')
                ? Number(exact.title.replace(/[^0-9]/g, '')) : cell.innerText;
        }}))""")


def fact(browser, name):
    """The value beside a word of the details."""
    return browser.run(f"""(() => {{
        const key = [...document.querySelectorAll('#panel dt')].find(
            node => node.textContent === {json.dumps(name)});
        return key ? key.nextSibling.innerText : null;
    }})()""")


def centre(browser):
    box = browser.box("#canvas")
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def names(browser):
    return browser.run("[...document.querySelectorAll('.name b')].map(node => node.innerText)")


def search(browser, words):
    browser.key("Escape")
    browser.key("/")
    browser.type(words)
    time.sleep(0.3)
    return browser.text("#hits")


def place_of(browser, thread, when, lane=None):
    """Where the canvas shows a time of a thread: on its bar, or on one of its lanes."""
    row = browser.run(f"""[...document.querySelectorAll('.name')].find(
        node => node.innerText.includes({json.dumps(thread)})).getBoundingClientRect().toJSON()""")
    box, (start, end) = browser.box("#canvas"), view(browser)
    below = 8 if lane is None else row["height"] - 5 - 18 * lane - 9
    return box["x"] + (when - start) / (end - start) * box["width"], row["y"] + 5 + below - 5


# the view -----------------------------------------------------------------------------------------


def test_at_first_the_whole_trace_is_shown(browser, server, server_page):
    browser.open(server_page)
    assert view(browser) == (0, server.duration)
    assert browser.text("#status").startswith("shows 400 ms from 0.")
    assert browser.text("#title") == "server.pftrace"
    assert browser.text("#summary") == "400 ms · 5 threads · 60 tasks · 1,020 events"
    shown = names(browser)
    assert shown[:5] == ["Counters", "heap live bytes", "queue", "Tasks", "request"]
    assert {"Threads of server (4711)", "accept 5000", "worker-0 5001"} <= set(shown)
    assert "2 regions had no end" in browser.text("#panel")


def test_the_wheel_zooms_around_the_mouse(browser, server, server_page):
    browser.open(server_page)
    box = browser.box("#canvas")
    browser.wheel(box["x"] + box["width"] / 4, box["y"] + 50, -600)
    start, end = view(browser)
    assert end - start < server.duration / 2
    assert start + (end - start) / 4 == pytest.approx(server.duration / 4, rel=1e-3)
    browser.wheel(box["x"] + box["width"] / 4, box["y"] + 50, 5000)
    assert view(browser) == (0, server.duration)


@pytest.mark.parametrize("closer, away", [("w", "s"), ("+", "-")])
def test_keys_zoom(browser, server, server_page, closer, away):
    browser.open(server_page)
    browser.key(closer)
    start, end = view(browser)
    assert end - start == pytest.approx(server.duration / 1.5, rel=1e-6)
    assert start + end == pytest.approx(server.duration, rel=1e-6)
    browser.key(away)
    assert view(browser) == (0, server.duration)


@pytest.mark.parametrize("right, left", [("d", "a"), ("ArrowRight", "ArrowLeft")])
def test_keys_move_and_stop_at_the_ends(browser, server, server_page, right, left):
    browser.open(server_page, "#view=100000000-200000000")
    browser.key(right)
    assert view(browser) == (115 * MS, 215 * MS)
    browser.key(left)
    assert view(browser) == (100 * MS, 200 * MS)
    for _ in range(20):
        browser.key(right)
    assert view(browser) == (server.duration - 100 * MS, server.duration)
    browser.key("0")
    assert view(browser) == (0, server.duration)


def test_dragging_moves_in_time_and_between_threads(browser, server_page):
    browser.open(server_page, "#view=100000000-200000000")
    x, y = centre(browser)
    width = browser.box("#canvas")["width"]
    browser.drag((x, y), (x - 200, y - 80))
    start, end = view(browser)
    assert end - start == 100 * MS
    assert start == pytest.approx(100 * MS + 200 / width * 100 * MS, rel=1e-3)
    assert browser.run("document.getElementById('scroller').scrollTop") == 80


def test_two_fingers_zoom(browser, server, server_page):
    browser.open(server_page)
    x, y = centre(browser)
    for apart, kind in ((30, "touchStart"), (60, "touchMove"), (120, "touchMove")):
        browser.send("Input.dispatchTouchEvent", type=kind, touchPoints=[
            {"x": x - apart, "y": y, "id": 1}, {"x": x + apart, "y": y, "id": 2}])
    browser.send("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
    start, end = view(browser)
    assert (end - start) * 4 == pytest.approx(server.duration, rel=0.1)
    assert (start + end) / 2 == pytest.approx(server.duration / 2, rel=0.1)


def test_the_map_moves_the_view(browser, server, server_page):
    browser.open(server_page, "#view=0-40000000")
    box = browser.box("#map")
    browser.click(box["x"] + box["width"] / 2, box["y"] + 20)
    assert view(browser) == pytest.approx((180 * MS, 220 * MS), rel=0.01)
    middle = box["x"] + box["width"] / 2, box["y"] + 20
    browser.drag(middle, (middle[0] + box["width"] / 4, middle[1]))
    assert view(browser) == pytest.approx((280 * MS, 320 * MS), rel=0.01)


def test_a_nanosecond_fills_the_page(browser, server_page):
    browser.open(server_page, "#view=100000000-200000000")
    x, y = centre(browser)
    for _ in range(30):
        browser.wheel(x, y, -1000)
    assert browser.text("#status").startswith("shows 1 ns from")


def test_the_address_brings_a_view_back(browser, server_page):
    browser.open(server_page)
    browser.key("/")
    browser.type("parse")
    browser.key("Enter")
    browser.key("Enter")
    browser.run("document.activeElement.blur()")
    browser.key("m")
    before, panel = address(browser), browser.text("#panel h2")
    assert set(before) >= {"view", "search", "range", "select"}
    browser.open(server_page, "#" + urllib.parse.urlencode(before))
    assert address(browser) == before
    assert browser.run("document.getElementById('words').value") == "parse"
    assert "hit" in browser.text("#hits")
    assert browser.text("#panel h2") in ("parse", panel)


@pytest.mark.parametrize("fragment", [
    "#view=5-1", "#view=a-b", "#select=slice-99999999", "#select=thread-1", "#range=9-3",
    "#y=-5", "#select=state-100000", "#view=0-99999999999999999999"])
def test_a_wrong_address_shows_the_trace(browser, server, server_page, fragment):
    browser.open(server_page, fragment)
    assert view(browser) == (0, server.duration)
    assert "The whole trace" in browser.text("#panel")


# details ------------------------------------------------------------------------------------------


def test_a_click_on_a_region_tells_about_it(browser, server, server_page):
    browser.open(server_page, "#view=90000000-135000000")
    thread = server.threads[1].slices
    at = next(i for i in range(len(thread)) if thread.start[i] > 95 * MS
              and server.strings[thread.name[i]] == "store")
    when = thread.start[at] + thread.duration[at] // 2
    browser.click(*place_of(browser, "worker-0", when, lane=0))
    assert browser.text("#panel h2") == "store"
    assert fact(browser, "thread") == "worker-0 5001"
    assert fact(browser, "lasted").endswith(f"({thread.duration[at]:,} ns)")
    assert fact(browser, "in") == "request"
    assert re.fullmatch(r"request \d+", fact(browser, "task"))


def test_a_click_on_a_wait_shows_its_stack(browser, server, server_page):
    thread = server.threads[1].slices
    at = max((i for i in range(len(thread)) if server.strings[thread.name[i]] == "lock"),
             key=thread.duration.__getitem__)
    start, length = thread.start[at], thread.duration[at]
    browser.open(server_page, f"#view={start - length}-{start + 2 * length}")
    browser.click(*place_of(browser, "worker-0", start + length // 2))
    assert browser.text("#panel h2") == "blocked: lock"
    assert browser.text(".stack").split("\n") == STACK.split(" < ")
    assert fact(browser, "object") == "0x55aa00"


def test_a_task_leads_to_its_work_and_back(browser, server, server_page):
    browser.open(server_page, "#select=task-20")
    task = sorted(server.tasks, key=lambda item: item.start)[20]
    assert browser.text("#panel h2") == f"request {task.id}"
    assert fact(browser, "lasted").endswith(f"({task.end - task.start:,} ns)")
    browser.run("document.querySelector('#panel td .link').click()")
    assert fact(browser, "what") == "work for a task"
    assert fact(browser, "task") == f"request {task.id}"
    browser.run("document.querySelector('#panel dd .link').click()")
    assert fact(browser, "what") == "task"


def test_commas_and_points_walk_along_a_line(browser, server_page):
    browser.open(server_page, "#select=task-20")
    first = browser.text("#panel h2")
    browser.key(".")
    second = browser.text("#panel h2")
    assert second != first
    browser.key(",")
    assert browser.text("#panel h2") == first


def test_f_zooms_to_the_selection(browser, server, server_page):
    browser.open(server_page, "#select=task-20")
    browser.key("f")
    task = sorted(server.tasks, key=lambda item: item.start)[20]
    start, end = view(browser)
    assert start <= task.start and task.end <= end
    assert end - start == pytest.approx(1.2 * (task.end - task.start), rel=0.01)


def test_the_mouse_over_something_names_it(browser, server_page):
    browser.open(server_page)
    box = browser.box("#canvas")
    browser.mouse("mouseMoved", box["x"] + 300, box["y"] + 40)
    browser.settle()
    assert re.match(r"heap live bytes: [\d.]+ MiB", browser.text("#tip"))


def test_a_repaired_region_says_so(browser, page):
    maker = Maker(10 * MS)
    maker.slice(maker.thread("main").slices, MS, 9 * MS, "open",
                detail=maker.detail(repaired="unclosed"))
    browser.open(page(maker.settled(), "repaired"), "#select=slice-0")
    assert "Its end is not in the trace" in browser.text("#panel")


# search -------------------------------------------------------------------------------------------


def test_search_counts_and_walks_through_hits(browser, server, server_page):
    browser.open(server_page)
    regions = sum(server.strings[name] == "parse" for thread in server.threads
                  for name in thread.slices.name)
    assert search(browser, "PARSE") == f"{regions} hits"
    browser.key("Enter")
    assert browser.text("#hits") == f"1 of {regions}"
    assert browser.text("#panel h2") == "parse"
    first = fact(browser, "from")
    browser.run("document.activeElement.blur()")
    browser.key("n")
    assert browser.text("#hits") == f"2 of {regions}"
    assert fact(browser, "from") > first
    browser.key("N", shift=True)
    browser.key("N", shift=True)
    assert browser.text("#hits") == f"{regions} of {regions}"
    assert fact(browser, "from") > first


def test_a_hit_is_brought_into_view(browser, server_page):
    browser.open(server_page, "#view=0-1000000")
    search(browser, "request 40")
    assert browser.text("#hits") == "no hits"
    search(browser, "user")
    for _ in range(3):
        browser.press("#next")
    start, end = view(browser)
    moment = float(re.sub(r"\s", "", fact(browser, "at")[:-1])) * 1e9
    assert start <= moment <= end


def test_search_finds_functions_in_stacks_and_texts_of_logs(browser, server, server_page):
    browser.open(server_page)
    waits = sum(server.strings[name] == "lock" for thread in server.threads
                for name in thread.slices.name)
    assert search(browser, "pthread_mutex_lock") == f"{waits} hits"
    assert search(browser, "from Rome") == "60 hits"
    assert search(browser, "worker-3") == "1 hit"
    assert search(browser, "nowhere at all") == "no hits"
    browser.key("Enter")
    assert browser.text("#hits") == "no hits"


# sums ---------------------------------------------------------------------------------------------


def rows_of(found):
    return {item.name: [item.count, item.total, item.at(0.5), item.at(0.99), item.max]
            for item in found}


def shown_rows(browser, name):
    return {row[0]: [int(row[1].replace(",", "")), *row[2:]] for row in table(browser, name)}


@pytest.mark.parametrize("workers", [1, 4])
def test_sums_of_the_whole_trace_are_those_of_the_text_report(browser, page, workers):
    timeline = made.server(workers, seed=workers)
    browser.open(page(timeline, f"sums{workers}"))
    assert shown_rows(browser, "regions") == rows_of(trace_stats.regions(timeline))
    assert shown_rows(browser, "tasks") == rows_of(trace_stats.tasks(timeline, {}))
    waits = [[row.count, row.total, row.max] for row in trace_stats.waits(timeline)]
    shown = [[int(row[1]), *row[2:]] for row in table(browser, "waits")]
    assert sorted(shown) == sorted(waits)
    for label, _, running, runnable, blocked, idle in table(browser, "threads")[1:]:
        times = next(item.times for item in timeline.threads if item.label == label)
        assert [running, runnable, blocked, idle] == [
            times.running, times.runnable, sum(times.blocked.values()), times.idle + times.unknown]


def test_a_region_in_one_of_its_name_counts_once_in_the_total(browser, page):
    maker = Maker(10 * MS)
    thread = maker.thread("main")
    for depth in range(4):
        maker.slice(thread.slices, depth * MS, (8 - depth) * MS, "walk" if depth != 2 else "step",
                    depth=depth)
    timeline = maker.settled()
    browser.open(page(timeline, "recursion"))
    assert shown_rows(browser, "regions") == rows_of(trace_stats.regions(timeline))
    assert shown_rows(browser, "regions")["walk"][:2] == [3, 8 * MS]


def inside(timeline, low, high):
    """What a range holds, found the slow way: by name the whole durations and the time inside."""
    found = {}
    for thread in timeline.threads:
        slices = thread.slices
        outer = {wait.slice for wait in states.outermost(thread)}
        for i in range(len(slices)):
            start, end = slices.start[i], slices.start[i] + slices.duration[i]
            overlap = min(end, high) - max(start, low)
            moment = start == end and low <= start <= high
            if (overlap > 0 or moment) and slices.kind[i] != WORK and \
                    (slices.kind[i] != BLOCKED or i in outer):
                row = found.setdefault((slices.kind[i], timeline.strings[slices.name[i]]), [[], 0])
                row[0].append(end - start)
                row[1] += overlap
    return found


@pytest.mark.parametrize("seed", range(6))
def test_sums_of_a_range_are_what_lies_in_it(browser, server, server_page, seed):
    draw = random.Random(seed)
    low, high = sorted(draw.sample(range(server.duration), 2))
    if seed == 0:       # from the end of one region to the begin of another
        slices = server.threads[1].slices
        low, high = slices.start[1] + slices.duration[1], slices.start[20]
    browser.open(server_page, f"#range={low}-{high}")
    found = inside(server, low, high)
    regions = {name: [len(each), total, sorted(each)[-1]]
               for (kind, name), (each, total) in found.items() if kind == REGION}
    assert {name: [row[0], row[1], row[4]] for name, row in
            shown_rows(browser, "regions").items()} == regions
    waits = {}
    for cause, count, total, longest in table(browser, "waits"):
        row = waits.setdefault(cause.split("\n")[0], [0, 0, 0])
        row[:] = [row[0] + int(count), row[1] + total, max(row[2], longest)]
    assert waits == {name: [len(each), total, max(each)]
                     for (kind, name), (each, total) in found.items() if kind == BLOCKED}
    for label, _, *times in table(browser, "threads")[1:]:
        thread = next(item for item in server.threads if item.label == label)
        life = min(high, thread.end) - max(low, thread.start)
        assert sum(times) == pytest.approx(life, abs=3)
        waited = sum(max(0, min(wait.end, high) - max(wait.start, low))
                     for wait in states.outermost(thread))
        if (low, high) != (0, server.duration):
            assert times[2] == pytest.approx(waited, abs=2)


def test_a_wait_that_takes_more_than_the_thread_slept_ends_waiting_for_a_processor(browser, page):
    maker = Maker(100 * MS)
    thread = maker.thread("main")
    maker.slice(thread.slices, 0, 96 * MS, "lock", BLOCKED)
    maker.ran(thread, 91 * MS, 95 * MS, waited=True)
    maker.ran(thread, 96 * MS, 100 * MS)
    maker.thread("other")
    timeline = maker.settled()
    browser.open(page(timeline, "woken"), f"#range={90 * MS}-{100 * MS}")
    times = next(row[2:] for row in table(browser, "threads") if row[0] == "main 5000")
    assert times == [4 * MS, 4 * MS, 2 * MS, 0]
    browser.click(*place_of(browser, "main 5000", 94 * MS))
    assert browser.text("#panel h2") == "blocked: lock"
    assert "waiting for a processor 4 ms" in fact(browser, "inside it")


def test_dragging_with_shift_sums_up_and_escape_lets_go(browser, server_page):
    browser.open(server_page, "#view=100000000-200000000")
    box = browser.box("#canvas")
    y = box["y"] + 100
    browser.drag((box["x"] + box["width"] * 0.2, y), (box["x"] + box["width"] * 0.6, y), shift=True)
    low, high = map(int, address(browser)["range"].split("-"))
    assert (low, high) == pytest.approx((120 * MS, 160 * MS), rel=0.001)
    assert re.match(r"(40|39\.\d+) ms from 0\.1[12]", browser.text("#panel h2"))
    assert view(browser) == (100 * MS, 200 * MS)
    browser.key("Escape")
    assert browser.text("#panel h2") == "The whole trace: 400 ms"
    assert "range" not in address(browser)


def test_dragging_in_the_time_scale_sums_up_and_a_click_there_lets_go(browser, server_page):
    browser.open(server_page)
    box = browser.box("#ruler")
    y = box["y"] + 10
    browser.drag((box["x"] + 100, y), (box["x"] + 300, y))
    assert "range" in address(browser)
    assert "from 0." in browser.text("#panel h2")
    browser.click(box["x"] + 500, y)
    assert browser.text("#panel h2") == "The whole trace: 400 ms"


def test_a_long_table_is_shown_whole_when_asked(browser, page):
    maker = Maker(100 * MS)
    thread = maker.thread("main")
    for i in range(50):
        maker.slice(thread.slices, i * MS, 1000 + i, f"region {i}")
    browser.open(page(maker.settled(), "long"))
    assert browser.run("document.querySelectorAll('#regions tbody tr').length") == 12
    assert len(table(browser, "regions")) == 50


def test_findings_stand_at_the_top(browser, page, server):
    finding = Finding("lock", "4 threads, 0.9 running on average", Place("take", "store.c:42"),
                      "look at store.c:42", 0.9)
    browser.open(page(server, "found", [finding]))
    assert browser.text(".notice") == \
        "4 threads, 0.9 running on average Next: look at store.c:42."


# drawing ------------------------------------------------------------------------------------------


def colours(browser, x, y, width, height):
    """How many pixels of the canvas have which colour."""
    pixels = browser.run(f"""(() => {{
        const data = document.getElementById('canvas').getContext('2d').getImageData(
            {x}, {y}, {width}, {height}).data, found = {{}};
        for (let i = 0; i < data.length; i += 4) {{
            const colour = '#' + [...data.slice(i, i + 3)].map(
                part => part.toString(16).padStart(2, '0')).join('');
            found[colour] = (found[colour] || 0) + 1;
        }}
        return found;
    }})()""")
    return pixels


def custom(browser, name):
    return browser.run("getComputedStyle(document.documentElement)"
                       f".getPropertyValue('--{name}').trim()")


def test_below_a_pixel_every_state_has_its_share(browser, page):
    timeline = made.many(60_000, threads=2)
    browser.open(page(timeline, "dense"))
    thread, box = timeline.threads[0], browser.box("#canvas")
    top = browser.box(".name.thread")["y"] - box["y"] + 5
    found = colours(browser, 0, round(top), round(box["width"]), 16)
    whole = sum(found.values())
    for name, time_spent in (("running", thread.times.running),
                             ("processor", thread.times.runnable),
                             ("others", sum(thread.times.blocked.values()))):
        share = time_spent / thread.times.life
        assert found[custom(browser, name)] / whole == pytest.approx(share, abs=0.04), name


def test_a_region_is_drawn_where_it_is(browser, page):
    maker = Maker(100 * MS)
    maker.slice(maker.thread("main").slices, 20 * MS, 30 * MS, "")
    browser.open(page(maker.settled(), "box"))
    box = browser.box("#canvas")
    lane = round(browser.box(".name.thread")["y"] - box["y"]) + 5 + 6
    tints = {custom(browser, f"tint-{i}") for i in range(1, 9)}

    def tinted(start, end):
        found = colours(browser, round(start * box["width"]), lane,
                        round((end - start) * box["width"]), 8)
        ours = sum(count for colour, count in found.items() if colour in tints)
        return ours / sum(found.values())
    assert tinted(0.22, 0.48) > 0.97
    assert tinted(0, 0.19) == tinted(0.51, 1) == 0


# kinds of traces ----------------------------------------------------------------------------------


def test_an_empty_trace_says_what_may_be_wrong(browser, page):
    browser.open(page(Timeline(), "empty"))
    assert "This trace has no events" in browser.text("#panel")
    browser.key("w")
    browser.key("/")
    assert search(browser, "x") == "no hits"


def test_a_moment_is_a_trace(browser, page):
    maker = Maker(0)
    thread = maker.thread("main")
    maker.slice(thread.slices, 0, 0, "nothing")
    maker.point(thread.points, 0, "here")
    browser.open(page(maker.settled(), "moment"))
    assert shown_rows(browser, "regions") == {"nothing": [1, 0, 0, 0, 0]}
    assert search(browser, "here") == "1 hit"


def test_an_hour_has_its_nanoseconds(browser, page):
    hour = 3600 * 10 ** 9
    maker = Maker(hour + 6)
    slices = maker.thread("main").slices
    maker.slice(slices, 0, hour, "outer")
    maker.slice(slices, hour - 1000, 7, "tiny", depth=1)
    browser.open(page(maker.settled(), "hour"), "#select=slice-1")
    browser.key("f")
    assert fact(browser, "lasted") == "7 ns"
    assert re.sub(r"\s", "", fact(browser, "from")) == "3599.999999000s"
    start, end = view(browser)
    assert start <= hour - 1000 and hour - 993 <= end and end - start < 20


def test_a_thousand_threads_scroll(browser, page):
    maker = Maker(100 * MS)
    for i in range(1000):
        maker.slice(maker.thread(f"conn-{i}").slices, i * 1000, 50 * MS, "serve")
    browser.open(page(maker.settled(), "thousand"))
    assert "conn-999 5999" not in names(browser)
    assert browser.run("document.querySelectorAll('.name').length") < 60
    assert search(browser, "conn-999") == "1 hit"
    browser.key("Enter")
    assert "conn-999 5999" in names(browser)


def test_several_processes_are_told_apart(browser, page):
    maker = Maker(100 * MS, "client")
    maker.process("server", 4712)
    for pid, start in ((4711, 0), (4712, 50 * MS)):
        thread = maker.thread("main", start, start + 50 * MS, pid)
        detail = maker.detail(task=maker.task("call", start, start + 9 * MS, pid=pid))
        maker.slice(thread.slices, start, 9 * MS, "call", WORK, 0, detail)
    maker.counter("open", [0, 10 * MS], [1.0, 2.0])
    browser.open(page(maker.settled(), "two"))
    assert names(browser) == ["Counters", "open", "Tasks", "call", "call",
                              "Threads of client (4711)", "main 5000",
                              "Threads of server (4712)", "main 5001"]
    assert browser.text("[data-key^='counter ']").endswith("1 to 2 · client (4711)")
    box, top = browser.box("#canvas"), browser.box("[data-key^='counter ']")["y"]
    line = round(top - box["y"]) + 4
    after = colours(browser, round(box["width"] * 0.52), line, round(box["width"] * 0.4), 38)
    before = colours(browser, round(box["width"] * 0.2), line, round(box["width"] * 0.2), 38)
    assert custom(browser, "ground") in after and custom(browser, "ground") not in before
    assert search(browser, "call") == "4 hits"


HOSTILE = ["</script><b id=evil>bold</b>", "\"quote' &amp; <img id=evil src=x onerror=alert(1)>",
           "<!-- data -->", "שלום עולם", "日本語 😀", "a\nb\x00c", "\u202egnp.exe", "\ud800",
           "y" * 65536, "${alert(1)}", "__proto__", "constructor"]


def test_hostile_names_are_shown_as_text(browser, page):
    maker = Maker(100 * MS, HOSTILE[0])
    for name in HOSTILE:
        thread = maker.thread(name)
        detail = maker.detail(text=name, stack=f"{name} < main (a.c:1)", **{name: name})
        maker.slice(thread.slices, 10 * MS, 60 * MS, name, detail=detail)
        maker.slice(thread.slices, 20 * MS, 10 * MS, name, BLOCKED, 1, detail)
        maker.point(thread.points, 20 * MS, name, detail=detail)
        maker.task(name, 5 * MS, 50 * MS)
        maker.counter(name, [0, MS, 2 * MS], [1.0, float("nan"), float("inf")])
    timeline = maker.settled()
    timeline.notes = tuple(HOSTILE[:3])
    browser.open(page(timeline, "hostile"))
    assert browser.run("document.querySelectorAll('#evil, b:not(.name b)').length") == 0
    assert browser.text("#title") == "hostile.pftrace"
    panel = browser.text("#panel")
    for name in HOSTILE[:5]:
        assert name in panel
    shown = {row[0] for row in table(browser, "regions")}
    assert "\\u202egnp.exe" in shown and "a b\\x00c" in shown
    for i in range(len(HOSTILE)):
        browser.key(".") if i else browser.open(page(timeline, "hostile"), "#select=slice-0")
    assert search(browser, "<b id=evil>") != "no hits"
    browser.key("Enter")
    assert browser.run("document.querySelectorAll('#evil').length") == 0


def test_the_title_is_text_too(browser, page, server):
    target = page(server, "x<b id=evil>&amp;")
    browser.open(target)
    assert browser.text("#title") == "x<b id=evil>&amp;.pftrace"
    assert browser.run("document.title") == "x<b id=evil>&amp;.pftrace"
    assert browser.run("document.getElementById('evil')") is None


# for everybody ------------------------------------------------------------------------------------


def luminance(colour):
    parts = [int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4
              for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear))


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_letters_can_be_read(browser, server_page, theme):
    browser.theme(theme)
    browser.open(server_page)
    assert browser.run("document.documentElement.dataset.theme") == theme
    pairs = [("ink", "ground"), ("ink", "raised"), ("soft", "ground"), ("soft", "raised"),
             ("accent", "ground"), ("soft", "idle")]
    pairs += [("on-tint", f"tint-{i}") for i in range(1, 9)]
    pairs += [("on-state", name) for name in ("running", "processor", "others", "io", "sleep")]
    weak = {pair: contrast(*(custom(browser, name) for name in pair)) for pair in pairs}
    assert {pair: ratio for pair, ratio in weak.items() if ratio < 4.5} == {}


# What people see who lack the cones for long or for middle wavelengths: rows of linear RGB.
BLINDNESS = {"protan": ((0.152, 1.053, -0.205), (0.115, 0.786, 0.099), (-0.004, -0.048, 1.052)),
             "deutan": ((0.367, 0.861, -0.228), (0.280, 0.673, 0.047), (-0.012, 0.043, 0.969))}


def seen(colour, kind):
    parts = [(int(colour[i:i + 2], 16) / 255) ** 2.2 for i in (1, 3, 5)]
    return [max(0.0, sum(a * b for a, b in zip(row, parts))) ** (1 / 2.2)
            for row in BLINDNESS[kind]]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("kind", sorted(BLINDNESS))
def test_states_differ_for_the_colour_blind(browser, server_page, kind, theme):
    """By colour as they see it, or by a pattern."""
    browser.theme(theme)
    browser.open(server_page)
    plain = {name: seen(custom(browser, name), kind) for name in ("running", "others", "idle")}
    pairs = [(a, b) for a in plain for b in plain if a < b]
    for one, other in pairs:
        apart = sum((a - b) ** 2 for a, b in zip(plain[one], plain[other])) ** 0.5
        assert apart > 0.2, (one, other)


def test_the_theme_can_be_changed(browser, server_page):
    browser.open(server_page)
    light = custom(browser, "ground")
    browser.key("t")
    assert custom(browser, "ground") != light
    browser.press("#theme")
    assert custom(browser, "ground") == light


def test_the_names_can_be_made_wider(browser, server_page):
    browser.open(server_page)
    width, edge = browser.box("#names")["width"], browser.box("#divider")
    place = edge["x"] + 2, edge["y"] + 100
    browser.drag(place, (place[0] + 90, place[1]))
    assert browser.box("#names")["width"] == pytest.approx(width + 90, abs=3)
    browser.run("document.getElementById('divider').focus()")
    browser.key("ArrowLeft")
    assert browser.box("#names")["width"] == pytest.approx(width + 70, abs=3)
    assert view(browser) == (0, 400 * MS)


def test_a_click_on_a_name_folds_it(browser, server_page):
    browser.open(server_page)
    high = browser.box("[data-key='thread 1']")["height"]
    browser.press("[data-key='thread 1']")
    assert browser.box("[data-key='thread 1']")["height"] < high
    browser.press("[data-key='tasks']")
    assert "request" not in names(browser)
    browser.press("[data-key='tasks']")
    assert "request" in names(browser)


def test_a_hit_in_a_folded_row_unfolds_it(browser, server_page):
    browser.open(server_page)
    for number in range(1, 5):
        browser.press(f"[data-key='thread {number}']")
    browser.press("[data-key='tasks']")
    folded = browser.box("[data-key='thread 1']")["height"]
    search(browser, "parse")
    browser.key("Enter")
    assert browser.box("[data-key='thread 1']")["height"] > folded
    browser.run("[...document.querySelectorAll('#panel dd .link')].pop().click()")
    browser.settle()
    assert fact(browser, "what") == "task"
    assert "request" in names(browser)


def test_more_tasks_than_lines_are_unfolded_by_a_hit(browser, page):
    maker = Maker(100 * MS)
    maker.thread("main")
    for i in range(10):
        maker.task("job" if i < 9 else "last", i * MS, 90 * MS + i)
    maker.timeline.tasks[8].name = "job"
    browser.open(page(maker.settled(), "jobs"), "#select=task-8")
    assert browser.text("#panel h2") == "job 9"
    row = browser.box("[data-key^='tasks ']")
    assert row["height"] < 9 * 18
    browser.run("document.getElementById('scroller').focus()")
    browser.key(",")
    browser.press("[data-key^='tasks ']")
    assert browser.box("[data-key^='tasks ']")["height"] > 9 * 18


def test_a_question_mark_opens_the_help(browser, server_page):
    browser.open(server_page)
    browser.key("?")
    assert browser.run("document.getElementById('help').open")
    assert "sum up a range" in browser.text("#help")
    browser.key("Escape")
    assert not browser.run("document.getElementById('help').open")


@pytest.mark.parametrize("width, height, ratio", [(420, 700, 2), (800, 500, 1), (1920, 1080, 1.5)])
def test_nothing_leaves_the_window(browser, server_page, width, height, ratio):
    browser.resize(width, height, ratio)
    browser.open(server_page)
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.run("document.documentElement.scrollHeight") <= height
    assert browser.box("#canvas")["height"] > 60
    assert browser.run("document.getElementById('canvas').width") == pytest.approx(
        browser.box("#canvas")["width"] * ratio, abs=1)


# the data in the page -----------------------------------------------------------------------------


def test_an_old_browser_unpacks_by_itself(browser, server_page):
    browser.open(server_page)
    expected = browser.text("#panel")
    script = browser.send("Page.addScriptToEvaluateOnNewDocument",
                          source="delete window.DecompressionStream")["identifier"]
    try:
        browser.open(server_page)
        assert browser.run("typeof DecompressionStream") == "undefined"
        assert browser.text("#panel") == expected
    finally:
        browser.send("Page.removeScriptToEvaluateOnNewDocument", identifier=script)


def test_a_damaged_page_says_so(chromium, server_page, tmp_path):
    text = server_page.read_text(encoding="utf-8")
    start = text.index('data-size="')
    target = tmp_path / "damaged.html"
    target.write_text(text[:start + 400] + "AAAA" + text[start + 900:], encoding="utf-8")
    chromium.open(target)
    assert "This page cannot show its trace" in chromium.text("#panel")
    assert "python3 -m graders trace FILE --html OUT" in chromium.text("#panel")


def test_the_page_needs_nothing_else(server_page):
    text = server_page.read_text(encoding="utf-8")
    assert re.findall(r"""(?:src|href)\s*=|@import|url\((?!#)""", text) == []
    assert "default-src 'none'" in text
