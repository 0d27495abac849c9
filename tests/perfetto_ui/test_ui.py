"""Traces open in Perfetto's UI: nothing is refused or left out, and all has its name."""
from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, Dict, List, Tuple

import decoder
import pytest
from conftest import ROOT
from ring import (FLOW_IN, FLOW_OUT, TASK_END, TASK_ENTER, TASK_LEAVE, Ring)
from ui import Ui

sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "fresh")]
from readme import blocks  # noqa: E402

FLAGS = ["cc", "-O2", "-g", "-std=gnu11", "-I", str(ROOT)]
LIBRARIES = ["-ldl", "-pthread"]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COOKS, ORDERS = 4, 10


def graders(*arguments: str) -> None:
    """`graders trace`, which must succeed."""
    subprocess.check_call([sys.executable, "-m", "graders", "trace", *arguments], cwd=ROOT,
                          stdout=subprocess.DEVNULL)


@pytest.fixture(scope="session")
def kitchen(folder: Path) -> Path:
    """README's program, built as README says."""
    source, = (block.text for block in blocks(README) if block.value == "kitchen.c")
    (folder / "kitchen.c").write_text(source)
    subprocess.check_call([*FLAGS, "-c", "-x", "c", "-DPERFLAB_IMPL", str(ROOT / "perflab.h"),
                           "-o", "perflab.o"], cwd=folder)
    subprocess.check_call([*FLAGS, "kitchen.c", "perflab.o", "-o", "kitchen", *LIBRARIES],
                          cwd=folder)
    return folder / "kitchen"


def names(ui: Ui, category: str) -> Dict[str, int]:
    """How many slices of each name."""
    return dict(ui.query(f"select name, count(*) from slice where category = '{category}' "
                         "group by name"))


def lines(program: Path, text: str) -> List[int]:
    """Where a text stands in the source."""
    source = program.with_suffix(".c").read_text().split("\n")
    return [at for at, line in enumerate(source, 1) if text in line]


def test_the_readmes_trace(ui: Ui, kitchen: Path) -> None:
    """Tasks, regions and blocked states, by name."""
    subprocess.check_call([str(kitchen)], cwd=kitchen.parent)
    ui.open(kitchen.with_name("trace.pftrace"))
    assert ui.complaints() == []
    made = COOKS * ORDERS
    assert names(ui, "task") == {"order": made}
    assert names(ui, "region") == {"chop": made, "bake": made}
    blocked = names(ui, "blocked")
    assert blocked["sleep"] == made and blocked["lock"] > 0 and blocked["join"] > 0
    stacks = ui.query("select distinct display_value from slice join args using(arg_set_id) "
                      "where slice.name = 'lock' and key = 'debug.stack'")
    at, = lines(kitchen, "pthread_mutex_lock")
    assert stacks and all(stack.startswith(f"bake (kitchen.c:{at}) < cook") for stack, in stacks)
    threads = ui.query("select count(distinct utid) from thread_track join slice "
                       "on slice.track_id = thread_track.id where category = 'region'")
    assert threads == [(COOKS,)]


def test_what_a_person_sees_of_it(ui: Ui, kitchen: Path) -> None:
    """The names of the tracks stand on the page, and the search box finds the slices."""
    ui.open(kitchen.with_name("trace.pftrace"))
    ui.command("dev.perfetto.ExpandAllGroups")
    shown = ui.browser.text("main, .pf-ui-main, body")
    for name in ("kitchen", "order", "heap live bytes", "threads"):
        assert re.search(rf"^{name}\b", shown, re.MULTILINE), shown
    assert ui.search("chop") == COOKS * ORDERS


def test_a_killed_programs_trace(ui: Ui, kitchen: Path, folder: Path) -> None:
    """Recovered, it opens, and holds what there was until then."""
    ring = folder / "trace.pftrace.ring"
    program = subprocess.Popen([str(kitchen)], cwd=folder)
    while len(list(Path(f"/proc/{program.pid}/task").iterdir())) <= COOKS:
        time.sleep(0.001)
    time.sleep(0.2)     # half of its time
    program.send_signal(signal.SIGKILL)
    program.wait()
    graders("--recover", str(ring), "-o", str(folder / "recovered.pftrace"))
    ui.open(folder / "recovered.pftrace")
    assert ui.complaints() == []
    bakes = names(ui, "region")["bake"]
    assert COOKS < bakes < COOKS * ORDERS
    assert names(ui, "task")["order"] >= bakes
    assert names(ui, "blocked")["lock"] > 0


# -- All that a trace can hold, record by record --


def everything(ring: Ring) -> None:
    """Records of every kind that programs make."""
    first, second = ring.thread(1, 101, b"first"), ring.thread(2, 102, b"second")
    first.task(1010, 7, b"request")
    first.of(1020, TASK_ENTER, 7)
    first.begin(1030, "outer")
    first.begin(1040, "grün 漢字".encode())
    first.instant(1050, "full")
    first.log(1060, "phase", b"reading")
    first.counter(1070, "queue", 3)
    first.counter(1080, "queue", -0.5)
    first.flow(1090, FLOW_OUT, "hand on", 1 << 63 | 5)
    first.end(1100)
    first.end(1110)
    first.of(1120, TASK_LEAVE, 7)
    second.of(1130, TASK_ENTER, 7)
    second.flow(1140, FLOW_IN, b"take", 1 << 63 | 5)
    second.begin(1150, b"x" * 65536)
    second.end(1160)
    second.of(1170, TASK_LEAVE, 7)
    second.of(1180, TASK_END, 7)
    second.begin(1190, "never ended")


@pytest.fixture(scope="session")
def exported(folder: Path) -> Path:
    """A trace with all of it, and with many slices."""
    ring = Ring()
    everything(ring)
    many = ring.thread(3, 103, b"many")
    for i in range(5000):
        many.begin(2000 + 10 * i, f"name {i % 97}")
        many.end(2005 + 10 * i)
    path = ring.write(folder / "all.ring")
    subprocess.check_call([*FLAGS, str(ROOT / "tests" / "trace" / "export.c"), "-o",
                           str(folder / "export"), *LIBRARIES])
    trace = subprocess.check_output([str(folder / "export"), str(path), "0", "100000"])
    (folder / "all.pftrace").write_bytes(trace)
    return folder / "all.pftrace"


def shown_slices(ui: Ui) -> "Counter[Tuple[Any, ...]]":
    """As the trace processor understands them."""
    return Counter(ui.query("select category, name, ts, dur, depth from slice where dur > 0"))


def test_every_slice_arrives(ui: Ui, exported: Path) -> None:
    """Names, moments and nesting are what the strict decoder reads."""
    ui.open(exported)
    assert ui.complaints() == []
    slices = decoder.read(exported).slices()
    assert len(slices) > 5000
    assert shown_slices(ui) == Counter((s.category, s.name, s.begin, s.ns, s.depth)
                                       for s in slices if s.ns)


def test_points_counters_and_flows_arrive(ui: Ui, exported: Path) -> None:
    ui.open(exported)
    trace = decoder.read(exported)
    points = [e for e in trace.events if e.type == decoder.INSTANT]
    assert {e.category for e in points} >= {"instant", "log", "flow"}
    assert Counter(ui.query("select category, name, ts from slice where dur = 0")) == \
        Counter((e.category, e.name, e.ns) for e in points)
    assert ui.query("select t.name, ts, value from counter c join counter_track t "
                    "on c.track_id = t.id where t.name = 'queue' order by ts") == \
        [("queue", e.ns, e.value) for e in trace.events
         if e.type == decoder.COUNTER and trace.tracks[e.track].name == "queue"]
    assert ("hand on", "take") in ui.query(
        "select a.name, b.name from flow join slice a on slice_out = a.id "
        "join slice b on slice_in = b.id")
    assert ui.query("select display_value from slice join args using(arg_set_id) "
                    "where category = 'log' and key = 'debug.text'") == [("reading",)]
    assert set(ui.query("select tid, name from thread where tid > 100 and tid < 104")) == \
        {(101, "first"), (102, "second"), (103, "many")}


def test_graders_files_open_as_well(ui: Ui, exported: Path) -> None:
    """Written again by graders, and as Chrome's JSON: the same slices."""
    ui.open(exported)
    wanted = Counter(ui.query("select category, name, dur from slice where category = 'region'"))
    merged, chrome = exported.with_name("merged.pftrace"), exported.with_name("all.json")
    graders("-o", str(merged), str(exported))
    graders("--chrome", str(chrome), str(exported))
    json.loads(chrome.read_text())
    for path in (merged, chrome):
        ui.open(path)
        assert ui.complaints() == [], path
        assert Counter(ui.query("select category, name, dur from slice "
                                "where category = 'region'")) == wanted, path
