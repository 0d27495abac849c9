"""What perflab costs, beside the alternatives, measured on this machine.

    python3 bench/run.py                    every entry, a few minutes
    python3 bench/run.py --only malloc      the entries whose name begins so
    python3 bench/run.py --verdicts         also grades every lab many times (bench/verdicts.py)
    python3 bench/run.py --markdown FILE    writes the table for bench/README.md too

Both sides of a ratio are measured in turn, so that a change of the machine's speed meets both. The
ratio is the median over rounds; the spread is the middle half of them. Exit 1 when a limit is
exceeded. Run it with nothing else running.
"""
from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Tuple

import cpu
import scrapes
import trace_page

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "build" / "bench"
ROUNDS = 15
LAB = "03"
SOLUTION = "solutions/03_string_building"
Pairs = List[Tuple[float, float]]


@dataclass(frozen=True)
class Row:
    """One line of the table. With no pairs there is only a value of our own, and its limit."""
    name: str
    beside: str
    unit: str
    pairs: Pairs = field(default_factory=list)
    values: Sequence[float] = ()
    limit: Optional[float] = None
    note: str = ""

    def ratios(self) -> List[float]:
        """Ours over the other's, by round."""
        return sorted(ours / other for ours, other in self.pairs)

    def figure(self) -> float:
        """What the limit is about: the median ratio, or the median value."""
        return statistics.median(self.ratios() if self.pairs else self.values)

    def over(self) -> bool:
        """Whether the limit is exceeded."""
        return self.limit is not None and self.figure() > self.limit


class Command:
    """A program with its arguments, and what it finds in the environment besides ours."""

    def __init__(self, arguments: Sequence[str], **more: str) -> None:
        self.arguments = list(arguments)
        self.environment = dict(os.environ, **more)


class Missing(Exception):
    """An entry that cannot be measured here, and why."""


# measuring ----------------------------------------------------------------------------------------


def output(command: Command) -> str:
    """What a program prints; a program that fails ends the entry with its last line."""
    done = subprocess.run(command.arguments, cwd=ROOT, env=command.environment,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          universal_newlines=True)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or ["nothing on stderr"]
        line = next((line for line in said if "error" in line), said[-1])
        raise Missing(f"{Path(command.arguments[0]).name}: exit {done.returncode}: {line}")
    return done.stdout


def seconds(command: Command) -> float:
    """How long a command takes."""
    start = time.perf_counter()
    output(command)
    return time.perf_counter() - start


def in_turn(ours: Callable[[], float], other: Callable[[], float], rounds: int = ROUNDS) -> Pairs:
    """Measures both sides in each round, the order turned each time; the first round warms up."""
    pairs: Pairs = []
    for turn in range(rounds + 1):
        if turn % 2:
            first = ours()
            pairs.append((first, other()))
        else:
            second = other()
            pairs.append((ours(), second))
    return pairs[1:]


def numbers(ours: Command, other: Command, rounds: int = ROUNDS) -> Pairs:
    """Two programs in turn, each of which prints a number last."""
    return in_turn(lambda: float(output(ours).split()[-1]),
                   lambda: float(output(other).split()[-1]), rounds)


def rounds_of(program: str, *arguments: str) -> Pairs:
    """The pairs that a program measured itself: a line each, ours first."""
    lines = [line.split() for line in output(Command([program, *arguments])).splitlines()]
    return [(float(ours), float(other)) for ours, other in lines]


def compile_to(name: str, *arguments: str, compiler: str = "cc") -> str:
    """Compiles something of this folder into build/bench; returns the program's path."""
    OUT.mkdir(parents=True, exist_ok=True)
    target = OUT / name
    output(Command([compiler, "-O2", *arguments, "-I.", "-o", str(target), "-pthread", "-lm"]))
    return str(target)


def perflab_object() -> str:
    """The implementation, as the header's first page compiles it."""
    return compile_to("perflab.o", "-DPERFLAB_IMPL", "-x", "c", "-c", "perflab.h")


def library(name: str) -> str:
    """A shared library of another project, found where Debian puts it."""
    for folder in (*Path("/usr/lib").glob("*-linux-*"), Path("/usr/lib/heaptrack")):
        if (folder / name).exists():
            return str(folder / name)
    raise Missing(f"{name} is not here; make test-deps lists its package")


# entries ------------------------------------------------------------------------------------------


def ticks() -> Iterator[Row]:
    """pl_ticks beside the bare instruction."""
    program = compile_to("ticks", "bench/ticks.c", perflab_object())
    yield Row("pl_ticks", "bare rdtsc", "ns", rounds_of(program), limit=1.1)


def loop() -> Iterator[Row]:
    """PL_LOOP beside a bare dec/jnz loop, by both compilers."""
    for compiler in ("gcc", "clang"):
        if not shutil.which(compiler):
            raise Missing(f"{compiler} is not here")
        program = compile_to(f"loop_overhead-{compiler}", "bench/loop_overhead.c",
                             perflab_object(), compiler=compiler)
        yield Row(f"PL_LOOP, empty body, {compiler}", "dec/jnz loop", "ns", rounds_of(program),
                  limit=1.2)


def malloc() -> Iterator[Row]:
    """A malloc and free pair with exact statistics, linked and preloaded, beside plain glibc."""
    plain = compile_to("malloc_plain", "bench/malloc_pair.c")
    linked = compile_to("malloc_linked", "bench/malloc_pair.c", perflab_object())
    preload = compile_to("libperflab.so", "-shared", "-fPIC", "-DPERFLAB_IMPL", "-x", "c",
                         "perflab.h")
    for mode in ("same", "mixed"):
        for threads, linked_limit in (("1", 1.15), ("2", 1.2)):
            beside = Command([plain, threads, mode])
            what = f"malloc+free, {mode}, {threads} thread{'s' * (threads != '1')}"
            yield Row(f"{what}, linked", "glibc", "ns",
                      numbers(Command([linked, threads, mode]), beside), limit=linked_limit)
            yield Row(f"{what}, preloaded", "glibc", "ns",
                      numbers(Command([plain, threads, mode], LD_PRELOAD=preload), beside),
                      limit=1.25)


def allocators() -> Iterator[Row]:
    """For comparison: hooks that do nothing, another allocator, a profiler of every call."""
    plain = [compile_to("malloc_plain", "bench/malloc_pair.c"), "1", "same"]
    bare = [compile_to("malloc_hand_on", "bench/malloc_pair.c", "bench/hand_on.c"), "1", "same"]
    alone = compile_to("hand_on.so", "-shared", "-fPIC", "bench/hand_on.c")
    yield Row("malloc+free, same, 1 thread, not counted, linked", "glibc", "ns",
              numbers(Command(bare), Command(plain)))
    yield Row("malloc+free, same, 1 thread, not counted, preloaded", "glibc", "ns",
              numbers(Command(plain, LD_PRELOAD=str(alone)), Command(plain)))
    for name, file, rounds in (("jemalloc", "libjemalloc.so.2", ROUNDS),
                               ("heaptrack", "libheaptrack_preload.so", 3)):
        what = f"malloc+free, same, 1 thread, {name}"
        try:
            ours = Command(plain, LD_PRELOAD=library(file), DUMP_HEAPTRACK_OUTPUT=os.devnull)
            yield Row(what, "glibc", "ns", numbers(ours, Command(plain), rounds))
        except Missing as why:
            yield Row(what, "glibc", "ns", note=str(why))


def http() -> Iterator[Row]:
    """A program's own latency while 50 profiles a second are fetched; what is left of a minute."""
    program = compile_to("http_load", "bench/http_load.c", perflab_object())
    yield Row("p99 of a program, 50 scrapes a second", "another is scraped", "ns",
              [scrapes.p99(program, 20) for _ in range(ROUNDS)], limit=1.1)
    left = scrapes.growth(program, 60)
    yield Row("memory after a minute of 50 scrapes a second", "", "KiB", values=[left.kib],
              limit=256)
    yield Row("descriptors after it", "", "more", values=[left.descriptors], limit=0)


def compiling() -> Iterator[Row]:
    """Compile time of including the header, and of the implementation."""
    OUT.mkdir(parents=True, exist_ok=True)
    texts = {"without.c": "", "with.c": '#include "perflab.h"\n'}
    for name, text in texts.items():
        (OUT / name).write_text(text + "int main(void) { return 0; }\n")
    compiler, result = ["cc", "-O2", "-I.", "-c"], ["-o", str(OUT / "x.o")]
    with_it, without = (Command([*compiler, str(OUT / name), *result])
                        for name in ("with.c", "without.c"))
    pairs = in_turn(lambda: seconds(with_it), lambda: seconds(without))
    yield Row("including perflab.h", "", "ms", values=[1000 * (a - b) for a, b in pairs],
              limit=15)
    for name, level in (("implementing perflab.h, -O0", "-O0"), ("implementing perflab.h", "-O2")):
        whole = Command([*compiler, level, "-DPERFLAB_IMPL", "-x", "c", "perflab.h", *result])
        yield Row(name, "", "s", values=[seconds(whole) for _ in range(5)], limit=1.5)


def verdict() -> Iterator[Row]:
    """Seconds until lab 03 has its verdict, both ways."""
    for name, submission, state in (("as shipped", "labs/03_string_building", "FAIL"),
                                    ("with the solution", SOLUTION, "PASS")):
        times = [graded(submission, state) for _ in range(7)]
        yield Row(f"verdict for lab {LAB}, {name}", "", "s", values=times, limit=5)


def graded(submission: str, state: str) -> float:
    """Seconds of one grading, which must end as expected."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "graders", "grade", "--submission", submission,
                           "--format", "json", LAB], cwd=ROOT, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    elapsed = time.perf_counter() - start
    got = json.loads(done.stdout)["state"] if done.stdout else done.stderr.strip()[-200:]
    if got != state:
        raise Missing(f"grading {submission}: {got}, expected {state}")
    return elapsed


def profiler() -> str:
    """The library that is preloaded to take profiles."""
    return compile_to("libperflab.so", "-shared", "-fPIC", "-DPERFLAB_IMPL", "-x", "c",
                      "perflab.h")


def totals() -> Iterator[Row]:
    """Time in the CPU profile, beside the process's clock; and what gperftools makes of it."""
    program, preload = compile_to("cpu_load", "bench/cpu_load.c"), profiler()
    plain = dict(os.environ)
    for threads in (1, 4, 16, 64):
        for hz in (100, 250, 1000, 10000):
            what = [program, "work", str(threads), str(6000 // threads)]
            runs = [cpu.run(what, plain, hz, preload) for _ in range(3)]
            yield Row(f"CPU profile off by, {threads} threads, {hz} Hz", "", "%",
                      values=[100 * abs(total / used - 1) for used, total, _ in runs],
                      limit=4 if threads == 64 else 2, note=beside(what, plain, hz))
    runs = [cpu.run([program, "short", "2000"], plain, hz, preload) for hz in (100, 1000) * 2]
    yield Row("CPU profile off by, 2,000 threads of 1 to 5 ms", "", "%",
              values=[100 * abs(total / used - 1) for used, total, _ in runs], limit=10)
    for hz, limit in ((1000, 4), (100, 7)):
        runs = [cpu.run([program, "work", "1", "4000"], plain, hz, preload) for _ in range(5)]
        yield Row(f"75/25 split off by, {hz} Hz, 4 s", "", "points",
                  values=[100 * abs(share - 0.75) for _, _, share in runs], limit=limit)


def beside(what: Sequence[str], plain: Dict[str, str], hz: int) -> str:
    """How much of the time gperftools has in its profile."""
    try:
        used, total = cpu.gperftools(what, plain, hz, library("libprofiler.so.0"))
    except Missing:
        return ""
    return f"gperftools: has {100 * total / used:.0f} % of the time"


def sampling() -> Iterator[Row]:
    """What the CPU profile costs the program: CPU time of a fixed amount of work."""
    program, preload = compile_to("cpu_load", "bench/cpu_load.c"), profiler()
    plain = Command([program, "fixed"], LD_PRELOAD=preload)
    for hz, limit in ((100, 1.003), (1000, 1.015)):
        ours = Command([program, "fixed"], LD_PRELOAD=preload,
                       PERFLAB=f"cpu={OUT / 'cpu.pb.gz'},hz={hz}")
        yield Row(f"CPU time, profile at {hz} Hz", "no profile", "ns",
                  numbers(ours, plain, 3 * ROUNDS), limit=limit)
        try:
            other = Command([program, "fixed"], LD_PRELOAD=library("libprofiler.so.0"),
                            CPUPROFILE=str(OUT / "cpu.prof"), CPUPROFILE_FREQUENCY=str(hz))
            yield Row(f"CPU time, gperftools at {hz} Hz", "no profile", "ns",
                      numbers(other, plain))
        except Missing as why:
            yield Row(f"CPU time, gperftools at {hz} Hz", "no profile", "ns", note=str(why))
    short = [program, "work", "1", "20"]
    pairs = in_turn(lambda: seconds(Command(short, LD_PRELOAD=preload,
                                            PERFLAB=f"cpu={OUT / 'cpu.pb.gz'}")),
                    lambda: seconds(Command(short, LD_PRELOAD=preload)))
    yield Row("start, stop and writing of a profile", "", "ms",
              values=[1000 * (a - b) for a, b in pairs], limit=20)


def locks() -> Iterator[Row]:
    """An uncontended lock and unlock, with perflab linked: profiles off, and on."""
    plain = compile_to("lock_pair", "bench/lock_pair.c")
    linked = compile_to("lock_pair_linked", "bench/lock_pair.c", "-DPERFLAB_IMPL", "-include",
                        "perflab.h", "-ldl")
    pairs = numbers(Command([linked, "off"]), Command([plain]))
    yield Row("lock+unlock, profiles off", "glibc", "ns", pairs)
    yield Row("lock+unlock, profiles off, more than glibc", "", "ns",
              values=[ours - other for ours, other in pairs], limit=0.5)
    yield Row("lock+unlock, profiles on", "glibc", "ns",
              numbers(Command([linked, "on"]), Command([plain])), limit=2)


def calls() -> Iterator[Row]:
    """A read that does not wait, with perflab linked: nothing traced, and while all is."""
    plain = compile_to("read_call", "bench/read_call.c")
    linked = compile_to("read_call_linked", "bench/read_call.c", "-DPERFLAB_IMPL", "-include",
                        "perflab.h", "-ldl")
    pairs = numbers(Command([linked, "off"]), Command([plain]))
    yield Row("read of a byte, no trace", "glibc", "ns", pairs)
    yield Row("read of a byte, no trace, more than glibc", "", "ns",
              values=[ours - other for ours, other in pairs], limit=3)
    pairs = numbers(Command([linked, "on"]), Command([plain]))
    yield Row("read of a byte, traced, more than glibc", "", "ns",
              values=[ours - other for ours, other in pairs])


def heap() -> Iterator[Row]:
    """A malloc and its free, 16 functions deep, while the heap profile runs."""
    plain = compile_to("heap_pair", "bench/heap_pair.c")
    linked = compile_to("heap_pair_linked", "bench/heap_pair.c", "-DPERFLAB_IMPL", "-include",
                        "perflab.h", "-ldl")
    pairs = numbers(Command([linked, "524288"]), Command([plain, "0"]))
    yield Row("malloc+free, heap profile at 512 KiB", "glibc", "ns", pairs)
    yield Row("malloc+free, heap profile at 512 KiB, more than glibc", "", "ns",
              values=[ours - other for ours, other in pairs], limit=4)
    pairs = numbers(Command([linked, "1"]), Command([plain, "0"]))
    yield Row("malloc+free, exact heap profile, 16 frames", "", "ns",
              values=[ours for ours, _ in pairs], limit=250)
    for what, name, settings in (
            ("jemalloc, sampled at 512 KiB", "libjemalloc.so.2",
             {"MALLOC_CONF": "prof:true,prof_active:true,lg_prof_sample:19"}),
            ("tcmalloc, sampled at 512 KiB", "libtcmalloc.so.4",
             {"TCMALLOC_SAMPLE_PARAMETER": "524288"})):
        try:
            other = Command([plain, "0"], LD_PRELOAD=library(name), **settings)
            yield Row(f"malloc+free, {what}", "glibc", "ns",
                      numbers(other, Command([plain, "0"])))
        except Missing as why:
            yield Row(f"malloc+free, {what}", "glibc", "ns", note=str(why))
    try:
        other = Command([plain, "1"], LD_PRELOAD=library("libheaptrack_preload.so"),
                        DUMP_HEAPTRACK_OUTPUT=os.devnull)
        yield Row("malloc+free, heaptrack, 16 frames", "glibc", "ns",
                  numbers(other, Command([plain, "0"]), 3))
    except Missing as why:
        yield Row("malloc+free, heaptrack, 16 frames", "glibc", "ns", note=str(why))


def unwind() -> Iterator[Row]:
    """A walk over 32 frames without frame pointers, and the sampler's whole handler."""
    program = compile_to("unwind", "-fomit-frame-pointer", "bench/unwind.c", "-ldl")
    pairs = rounds_of(program)
    yield Row("walk, a frame, warm", "libgcc", "ns", pairs)
    yield Row("walk, a frame, warm", "", "ns", values=[ours for ours, _ in pairs], limit=15)
    try:
        yield Row("walk, a frame, warm", "libunwind", "ns", rounds_of(program, "warm", "libunwind"))
    except Missing as why:
        yield Row("walk, a frame, warm", "libunwind", "ns", note=str(why))
    for mode, what, unit, limit in (
            ("thread", "walk, a frame, warm, in a second thread", "ns", None),
            ("cold", "walk, a frame, cold", "ns", None),
            ("handler", "handler of a sample, 32 frames", "us", 2.5)):
        values = [float(line) for line in output(Command([program, mode])).split()]
        yield Row(what, "", unit, values=values, limit=limit)


def symbolize() -> Iterator[Row]:
    """Function, file and line of an address, beside addr2line as a process of its own."""
    program = compile_to("symbolize", "-std=c++11", "-g", "bench/symbolize.cc", perflab_object(),
                         "-ldl", "-pthread", compiler="g++")
    if not shutil.which("addr2line"):
        raise Missing("addr2line is not here: install binutils")
    tool = Command(["addr2line", "-f", "-i", "-e", program,
                    output(Command([program, "where"])).strip()])
    for mode, what, unit, limit in (
            ("cold", "pl_symbolize, first address of a process", "ms", 5),
            ("known", "pl_symbolize, another address nearby", "us", None),
            ("warm", "pl_symbolize, the same address again", "us", 1)):
        values = [float(line) for line in output(Command([program, mode])).split()]
        yield Row(what, "", unit, values=values, limit=limit)
        if mode == "cold":
            yield Row(what, "addr2line", "ms", [(ours, 1000 * seconds(tool)) for ours in values])


def events() -> Iterator[Row]:
    """What an event of a trace costs, on and off, beside how others write theirs."""
    program = compile_to("trace_event", "bench/trace_event.c", perflab_object(), "-ldl")
    for mode, what, limit in (("event", "trace, an event", 3),
                              ("spall", "trace, an event as spall.h does (model)", None),
                              ("minitrace", "trace, an event as minitrace does (model)", None)):
        pairs = rounds_of(program, mode)
        yield Row(what, "pl_ticks", "ns", pairs)
        yield Row(f"{what}, more than pl_ticks", "", "ns",
                  values=[ours - other for ours, other in pairs], limit=limit)
    yield Row("trace, a region while it is off", "", "ns",
              values=[ours - other for ours, other in rounds_of(program, "off")], limit=1)
    for threads in ("1", "2"):
        yield Row(f"trace, 1 M events a second in each of {threads} threads", "no trace", "ns",
                  rounds_of(program, "load", threads), limit=1.05)


def exporting() -> Iterator[Row]:
    """A trace as Perfetto's file: time and size of an event."""
    program = compile_to("trace_export", "bench/trace_export.c", "-ldl")
    pairs = rounds_of(program)
    yield Row("trace, writing an event", "", "ns", values=[ns for ns, _ in pairs], limit=200)
    yield Row("trace, an event in the file", "", "bytes", values=[b for _, b in pairs], limit=20)


def page() -> Iterator[Row]:
    """The page of a trace with a million events, in Chromium."""
    if trace_page.browsers.chromium() is None:
        raise Missing("Chromium is not here")
    found = trace_page.figures()
    yield Row("page of a million events, written", "", "s", values=found.write_s, limit=15)
    yield Row("page of a million events, size", "", "MB", values=[found.megabytes])
    yield Row("page of a million events, first drawn", "", "s", values=found.drawn_s, limit=5)
    yield Row("page, a frame, all in view", "", "ms", values=found.whole_ms, limit=33)
    yield Row("page, a frame, a hundredth in view", "", "ms", values=found.part_ms, limit=33)


ENTRIES: Sequence[Callable[[], Iterator[Row]]] = (
    ticks, loop, malloc, allocators, heap, locks, calls, totals, sampling, unwind, symbolize, http,
    events, exporting, page, compiling, verdict)


# the table ----------------------------------------------------------------------------------------

HEADINGS = ("what", "here", "beside it", "ratio", "middle half", "at most", "")


def cells(row: Row) -> Tuple[str, ...]:
    """A row as text."""
    if not row.pairs and not row.values:
        return (row.name, "-", "-", "-", "-", "-", row.note)
    limit = f"{row.limit:g}" if row.limit is not None else "-"
    note = "; ".join(filter(None, ("OVER THE LIMIT" if row.over() else "", row.note)))
    if not row.pairs:
        low, high = middle_half(sorted(row.values))
        limit += f" {row.unit}" if row.limit is not None else ""
        return (row.name, f"{row.figure():.3g} {row.unit}", "-", "-", f"{low:.3g}-{high:.3g}",
                limit, note)
    ours, other = (statistics.median(side) for side in zip(*row.pairs))
    low, high = middle_half(row.ratios())
    return (row.name, f"{ours:.3g} {row.unit}", f"{row.beside} {other:.3g} {row.unit}",
            f"{row.figure():.3f}", f"{low:.3f}-{high:.3f}", limit, note)


def middle_half(ordered: Sequence[float]) -> Tuple[float, float]:
    """First and third quartile."""
    return ordered[len(ordered) // 4], ordered[len(ordered) - 1 - len(ordered) // 4]


def show(rows: Sequence[Row]) -> None:
    """The table, aligned, for a terminal."""
    lines = [HEADINGS, *(cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())


def markdown(rows: Sequence[Row]) -> str:
    """The same as Markdown, with the machine and the date."""
    lines = [machine(), "", "| " + " | ".join(HEADINGS) + " |",
             "|" + "---|" * len(HEADINGS)]
    lines += ["| " + " | ".join(cells(row)) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def machine() -> str:
    """Processor, system and compiler in a line."""
    processor = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    for line in info.read_text().splitlines() if info.exists() else ():
        if line.startswith("model name"):
            processor = line.partition(":")[2].strip()
            break
    compiler = output(Command(["cc", "--version"])).splitlines()[0]
    libc = " ".join(platform.libc_ver()).strip()
    return (f"{processor}, {os.cpu_count()} processors, {platform.system()} "
            f"{platform.release().split('-')[0]}, {libc}, {compiler}, "
            f"{time.strftime('%Y-%m-%d')}: `make bench`")


def measure(entry: Callable[[], Iterator[Row]]) -> List[Row]:
    """An entry's rows; one that cannot be measured is a row that says why."""
    print(f"... {(entry.__doc__ or '').strip()}", file=sys.stderr, flush=True)
    rows: List[Row] = []
    try:
        for row in entry():
            rows.append(row)
    except Missing as why:
        rows.append(Row(entry.__name__, "", "", note=str(why)))
    return rows


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench/run.py", description="What perflab costs.")
    parser.add_argument("--only", default="", metavar="NAME", help="entries that begin so: "
                        + ", ".join(entry.__name__ for entry in ENTRIES))
    parser.add_argument("--markdown", metavar="FILE", help="write the table there too")
    parser.add_argument("--verdicts", action="store_true", help="run bench/verdicts.py afterwards")
    options = parser.parse_args(arguments)
    chosen = [entry for entry in ENTRIES if entry.__name__.startswith(options.only)]
    if not chosen:
        parser.error(f"no entry begins with '{options.only}'; --help lists them")
    rows = [row for entry in chosen for row in measure(entry)]
    show(rows)
    if options.markdown:
        Path(options.markdown).write_text(markdown(rows))
    status = 1 if any(row.over() for row in rows if row.pairs or row.values) else 0
    if options.verdicts:
        status |= subprocess.call([sys.executable, str(ROOT / "bench" / "verdicts.py")])
    return status


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
