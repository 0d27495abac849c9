"""Runs every test suite and ends with `N passed, N failed`.

    python3 tests/run.py                 all suites
    python3 tests/run.py --fast          the quick ones
    python3 tests/run.py --suite NAME    those whose name begins with NAME
    python3 tests/run.py --list          the names, with the tools each needs

A suite is found by being there: a file tests/unit/test_*.c, a folder of tests/ with test_*.py in
it, or a lab. See tests/README.md. A suite that needs a tool this machine lacks is left out by name;
when CI=true it fails, and so does a pytest test that skips itself.
"""
from __future__ import annotations

import argparse
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parent))
import deps  # noqa: E402  (the folder of this file is not a package)

ROOT = deps.ROOT
OUTPUT = ROOT / "build" / "tests"
TIME_LIMIT = 900    # seconds until a suite counts as hung; the longest takes a few minutes
CI = os.environ.get("CI") == "true"


@dataclass(frozen=True)
class Outcome:
    """What one suite gave; ``text`` is printed when something failed."""
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    text: str = ""


@dataclass(frozen=True)
class Suite:
    """One line of the report."""
    name: str
    needs: Tuple[str, ...]          # names from deps.py
    run: Callable[[], Outcome]
    fast: bool = False              # part of `make check-fast`
    alone: bool = False             # measures time: nothing else may run beside it


@dataclass(frozen=True)
class Folder:
    """What cannot be seen from a folder of pytest tests."""
    needs: Tuple[str, ...] = ()
    fast: bool = False
    alone: bool = True
    alone_files: Tuple[str, ...] = ()   # those of its files that do measure: a suite of their own
    slow: Tuple[str, ...] = ()      # its files that `make check-fast` leaves out


# A folder that is not named here needs nothing but pytest, and runs alone.
FOLDERS: Dict[str, Folder] = {
    "bench": Folder(needs=("cc", "clang", "g++", "objdump", "benchstat")),
    "core": Folder(needs=("cc", "g++", "clang", "clang-rt", "musl-gcc", "jemalloc", "tcmalloc",
                           "mimalloc", "valgrind", "aarch64-gcc", "aarch64-libc", "qemu-aarch64",
                           "setarch"), alone=False),
    "crash": Folder(needs=("cc", "clang", "musl-gcc"), alone=False),
    "compile": Folder(needs=("cc", "g++", "clang", "musl-gcc"), alone=False),
    "docs": Folder(needs=("cc", "g++", "clang", "cmake"), fast=True),
    "fuzz": Folder(needs=("cc",), alone=False),
    "http": Folder(needs=("cc", "musl-gcc", "go", "chromium"), alone=False),
    "graders": Folder(needs=("cc", "clang", "g++", "objdump"), fast=True, alone=False,
                      alone_files=("test_end_to_end.py", "test_check.py", "test_kinds.py",
                                   "test_newlab.py", "test_record.py", "test_watch.py",
                                   "test_bench_error.py", "test_worker.py"),
                      slow=("test_end_to_end.py", "test_check.py", "test_newlab.py",
                            "test_record.py", "test_watch.py", "test_kinds.py", "test_board.py",
                            "test_build.py", "test_bench_error.py")),
    "labs": Folder(needs=("cc", "clang")),
    "lines": Folder(needs=("cc", "g++", "clang", "llvm", "objdump", "go", "musl-gcc", "aarch64-gcc",
                           "aarch64-libc", "qemu-aarch64"), alone=False),
    "make": Folder(needs=("cc", "make", "pkg-config"), fast=True, alone=False),
    "environment": Folder(needs=("cc", "g++", "jemalloc", "tcmalloc", "mimalloc"), alone=False,
                          alone_files=("test_environment.py", "test_keys.py")),
    "preload": Folder(needs=("cc", "git", "go", "perl", "xz")),
    "pprof": Folder(needs=("cc", "g++", "clang", "go", "objdump"), alone=False),
    "lint": Folder(needs=("cc", "objdump", "git"), fast=True, alone=False),
    "profiles": Folder(needs=("cc", "clang", "go", "llvm", "objdump"), alone=False),
    "runner": Folder(needs=("cc",), fast=True, alone=False),
    "trace": Folder(needs=("cc",), alone=False,
                    alone_files=("test_programs.py", "test_causes.py", "test_flight.py")),
    "perfetto_ui": Folder(needs=("cc", "chromium"), alone=False),
    "trace_page": Folder(needs=("chromium",), alone=False),
    "slides": Folder(needs=("cc", "clang", "npm", "chromium", "git", "make"), alone=False),
    "unwind": Folder(needs=("cc", "clang", "clang-rt", "musl-gcc", "aarch64-gcc", "aarch64-libc",
                            "qemu-aarch64"), alone=False),
}

UNIT_FLAGS = ["-std=gnu11", "-g", "-Wall", "-Wextra", "-Werror", "-I.", "-Itests", "-Itests/unit"]
# name -> (compiler, flags, tools). A test leaves one out by name: see unit_options().
VARIANTS: Dict[str, Tuple[str, List[str], Tuple[str, ...]]] = {
    "gcc-O0": ("gcc", ["-O0"], ("cc",)),
    "gcc-O2": ("gcc", ["-O2"], ("cc",)),
    "clang-O0": ("clang", ["-O0"], ("clang",)),
    "clang-O2": ("clang", ["-O2"], ("clang",)),
    "asan": ("gcc", ["-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"], ("cc",)),
    "tsan": ("clang", ["-O1", "-fsanitize=thread"], ("clang", "clang-rt", "setarch")),
}


# Many tests compile the same perflab.h with the same flags. Debian's ccache has its compilers here.
CACHED_COMPILERS = Path("/usr/lib/ccache")


def environment(cached: bool = False) -> Dict[str, str]:
    """What every suite sees: the repository's Python packages, the test tools, no colour."""
    seen = dict(os.environ, PYTHONPATH=str(ROOT), PATH=deps.search_path(), NO_COLOR="1",
                PYTHONDONTWRITEBYTECODE="1", TSAN_OPTIONS="halt_on_error=1")
    if cached and CACHED_COMPILERS.is_dir():
        seen.update(PATH=f"{CACHED_COMPILERS}{os.pathsep}{seen['PATH']}", CCACHE_NOHASHDIR="1",
                    CCACHE_DIR=str(ROOT / "build" / "ccache"), CCACHE_MAXSIZE="2G")
    return seen


def execute(command: Sequence[str], cached: bool = False) -> Tuple[int, str, str]:
    """Runs a command in the repository: status, standard output, standard error."""
    try:
        done = subprocess.run(command, cwd=ROOT, env=environment(cached), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=TIME_LIMIT)
    except subprocess.TimeoutExpired as late:
        return 124, "", f"no end after {TIME_LIMIT} s\n" + decode(late.stderr)
    except OSError as error:
        return 127, "", f"{command[0]}: {error.strerror}"
    return done.returncode, decode(done.stdout), decode(done.stderr)


def decode(output: Optional[bytes]) -> str:
    """Output as text, whatever bytes it has."""
    return (output or b"").decode("utf-8", "replace")


def failure(command: Sequence[str], status: int, output: str) -> Outcome:
    """One failed test: a command that did not even report."""
    lines = [f"$ {shlex.join(command)}", *output.splitlines()[-40:], f"exit status {status}"]
    return Outcome(failed=1, text="\n".join(lines))


# TAP: C tests, and programs of ours that count by themselves -------------------------------------


def parse_tap(text: str) -> Tuple[Outcome, bool]:
    """Counts the lines of a TAP report; the second value says whether all planned tests ran."""
    passed = failed = skipped = 0
    plan: Optional[int] = None
    kept: List[str] = []
    failing = False
    for line in text.splitlines():
        result = re.match(r"(not )?ok\b(.*)", line)
        if result:
            skip = re.search(r"# skip\b", result.group(2), re.IGNORECASE) is not None
            failing = bool(result.group(1)) and not skip
            passed, failed, skipped = (passed + (not failing and not skip), failed + failing,
                                       skipped + skip)
        elif re.match(r"1\.\.\d+", line):
            plan = int(line.split()[0][3:])
        if failing:
            kept.append(line)
    complete = plan is not None and plan == passed + failed + skipped and plan > 0
    return Outcome(passed, failed, skipped, "\n".join(kept)), complete


def run_tap(command: Sequence[str]) -> Outcome:
    """Runs a program that prints TAP. One that ends early or badly has one failure more."""
    status, output, errors = execute(command)
    outcome, complete = parse_tap(output)
    if complete and (status == 0) == (outcome.failed == 0):
        return outcome
    tail = output.splitlines()[-15:] + errors.splitlines()[-40:]
    broken = failure(command, status, "\n".join(tail))
    return replace(outcome, failed=outcome.failed + 1, text=outcome.text + "\n" + broken.text)


def unit_options(source: Path) -> Dict[str, List[str]]:
    """Reads the wishes of a test: `/* run: upto=malloc without=tsan flags=-ldl alone=yes */`."""
    wishes = re.search(r"/\* run: (.*?) \*/", source.read_text())
    words = wishes.group(1).split() if wishes else []
    options: Dict[str, List[str]] = {"without": [], "flags": [], "alone": [], "upto": []}
    for word in words:
        key, _, value = word.partition("=")
        if key not in options or not value:
            sys.exit(f"{source}: '{word}' in the run: comment; write upto=SECTION "
                     "without=NAME,... flags=... or alone=yes")
        options[key] += value.split(",")
    unknown = set(options["without"]) - set(VARIANTS)
    if unknown:
        sys.exit(f"{source}: without={unknown.pop()}: the variants are {', '.join(VARIANTS)}")
    return options


# What a lower section calls in a higher one; a test that needs more of it names the higher one.
STAND_IN = """
__attribute__((weak)) pl_result pl_profile_save(const char *name, const char *path)
{
    (void)name, (void)path;
    return PL_UNSUPPORTED;
}
"""
CUT_FLAGS = ["-Wno-unused-function", "-Wno-unused-macros", "-Wno-unused-variable"]


def cut_header(section: str) -> Path:
    """A folder with perflab.h up to the end of a section: what a test of a lower layer compiles.

    Sections stand in the order of dependence, so that every beginning of the file compiles. It is
    a fraction of the whole, in each of six variants.
    """
    text = (ROOT / "perflab.h").read_text()
    starts = {match[1]: match.start() for match in re.finditer(r"^/\* ==== >>(\w+) ", text, re.M)}
    if section not in starts:
        sys.exit(f"tests/run.py: upto={section}: perflab.h has no such section")
    end = min((at for at in starts.values() if at > starts[section]), default=len(text))
    stand_in = STAND_IN if starts[section] < starts["profile"] else ""
    folder = OUTPUT / "upto" / section
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f"perflab.h.{os.getpid()}.{threading.get_ident()}"
    fresh.write_text(text[:end] + stand_in + text[text.rindex("#endif /* PERFLAB_IMPL_DONE */"):])
    fresh.replace(folder / "perflab.h")     # others may be reading it
    return folder


def run_unit(source: Path, variant: str, wishes: Dict[str, List[str]]) -> Outcome:
    """Builds one C test in one variant and runs it."""
    compiler, options, _ = VARIANTS[variant]
    program = OUTPUT / f"{source.stem}-{variant}"
    OUTPUT.mkdir(parents=True, exist_ok=True)
    folders = [f"-I{cut_header(section).relative_to(ROOT)}" for section in wishes["upto"]]
    flags = [*folders, *UNIT_FLAGS, *(CUT_FLAGS if folders else []), *options,
             *(flag for flag in wishes["flags"] if not flag.startswith("-l"))]
    for command in ([compiler, *flags, "-c", str(source.relative_to(ROOT)), "-o", f"{program}.o"],
                    [compiler, *options, f"{program}.o", "-o", str(program), "-pthread", "-lm",
                     *wishes["flags"]]):
        status, _, errors = execute(command, cached=True)
        if status != 0:
            return failure(command, status, errors)
    # The thread sanitizer's shadow memory collides with some random layouts.
    prefix = ["setarch", "-R"] if variant == "tsan" else []
    return run_tap([*prefix, str(program)])


def unit_suites() -> Iterator[Suite]:
    """Every C test in every variant."""
    for source in sorted((ROOT / "tests" / "unit").glob("test_*.c")):
        options = unit_options(source)
        for variant, (_, _, needs) in VARIANTS.items():
            if variant not in options["without"]:
                yield Suite(f"unit/{source.stem[5:]} {variant}", needs,
                            partial(run_unit, source, variant, options),
                            fast=variant == "gcc-O0", alone=bool(options["alone"]))


# pytest -------------------------------------------------------------------------------------------


def parse_junit(path: Path) -> Tuple[int, int, int, List[str]]:
    """Passed, failed and skipped tests of a pytest report, and why the skipped ones were."""
    counts = {"total": 0, "failed": 0, "skipped": 0}
    reasons: List[str] = []
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        counts["total"] += 1
        counts["failed"] += any(case.find(tag) is not None for tag in ("failure", "error"))
        for skip in case.iter("skipped"):
            counts["skipped"] += 1
            reasons.append(f"{case.get('name')}: skipped: {skip.get('message')}")
    passed = counts["total"] - counts["failed"] - counts["skipped"]
    return passed, counts["failed"], counts["skipped"], reasons


def run_pytest(folder: Path, name: str = "", chosen: Sequence[str] = (),
               left_out: Sequence[str] = (), cached: bool = False) -> Outcome:
    """Runs tests of one folder in the test venv and counts them from the JUnit report.

    chosen: these files only; left_out: all but these."""
    report = OUTPUT / f"{name or folder.name}.xml"
    OUTPUT.mkdir(parents=True, exist_ok=True)
    if report.exists():
        report.unlink()
    place = folder.relative_to(ROOT)
    command = [str(deps.venv_python()), "-m", "pytest", "-q", "--tb=short",
               "-p", "no:cacheprovider", f"--junitxml={report}", "-o", "junit_family=xunit1",
               *(str(place / file) for file in chosen or [""]),
               *(f"--ignore={folder / file}" for file in left_out)]
    status, output, errors = execute(command, cached)
    if not report.exists():
        return failure(command, status, output + errors)
    passed, failed, skipped, reasons = parse_junit(report)
    if CI and skipped:
        failed, skipped, output = failed + skipped, 0, output + "\n".join(reasons)
    if (status != 0 and failed == 0) or passed + failed + skipped == 0:
        return failure(command, status, output + errors)
    return Outcome(passed, failed, skipped, output if failed else "\n".join(reasons))


def pytest_suites(fast: bool) -> Iterator[Suite]:
    """Every folder of tests/ that has Python tests; two suites where only a part measures."""
    folders = {path.parent for path in (ROOT / "tests").glob("*/test_*.py")}
    for folder in sorted(folders):
        wishes = FOLDERS.get(folder.name, Folder())
        tools, slow = ("pytest", *wishes.needs), wishes.slow if fast else ()
        # What measures may measure a compiler, too: it gets the real ones.
        yield Suite(folder.name, tools,
                    partial(run_pytest, folder, left_out=(*wishes.alone_files, *slow),
                            cached=not wishes.alone), wishes.fast, wishes.alone)
        measuring = [file for file in wishes.alone_files if file not in slow]
        if measuring:
            name = f"{folder.name}-alone"
            yield Suite(name, tools, partial(run_pytest, folder, name, measuring),
                        wishes.fast, alone=True)


# the run ------------------------------------------------------------------------------------------


def lab_suites() -> Iterator[Suite]:
    """Every lab, checked as `make check-labs` does it, with less time measured."""
    for folder in sorted((ROOT / "labs").glob("[0-9][0-9]_*")):
        command = [sys.executable, "-m", "graders", "check", "--tap", "--quick", folder.name]
        yield Suite(f"check-labs {folder.name}", ("cc", "clang", "g++"),
                    partial(run_tap, command), alone=True)


def all_suites(fast: bool = False) -> List[Suite]:
    """In the order of the report: what is quick and tells most stands first."""
    lint = [sys.executable, "tests/lint/lint.py", "--tap"]
    gate = [sys.executable, "tests/fresh/gate.py"]
    return [Suite("rules", ("cc", "git"), partial(run_tap, lint), fast=True),
            *unit_suites(), *pytest_suites(fast), *lab_suites(),
            Suite("fresh-machine", ("bwrap", "debootstrap", "setpriv", "git"),
                  partial(run_tap, gate), alone=True)]


def choose(suites: Sequence[Suite], options: argparse.Namespace) -> List[Suite]:
    """The suites that were asked for."""
    chosen = [suite for suite in suites if not options.fast or suite.fast]
    if options.suite:
        chosen = [suite for suite in chosen if suite.name.startswith(options.suite)]
    if not chosen:
        sys.exit(f"tests/run.py: no suite begins with '{options.suite}'; "
                 "see python3 tests/run.py --list")
    return chosen


def absent_tools(suites: Sequence[Suite]) -> List[str]:
    """What the chosen suites need and this machine lacks; makes the test venv when it can."""
    wanted = {tool for suite in suites for tool in suite.needs}
    absent = set(deps.missing_tools()) & wanted
    absent |= {tool for tool in wanted & {"setarch"} if not deps.find_program(tool)}
    if "pytest" in wanted and not deps.venv_ready():
        try:
            deps.make_venv()
        except SystemExit as error:
            print(error, file=sys.stderr)
            absent.add("pytest")
    return sorted(absent)


def attempt(suite: Suite, absent: Sequence[str]) -> Outcome:
    """Runs a suite, or says which tool it lacks."""
    lacking = [tool for tool in suite.needs if tool in absent]
    if not lacking:
        return suite.run()
    text = f"left out: {', '.join(lacking)} is missing; `make test-deps INSTALL=1` installs it"
    return Outcome(failed=1, text=text) if CI else Outcome(skipped=1, text=text)


class Progress:
    """Prints a line for each suite that ends, and what went wrong in it."""

    def __init__(self, suites: Sequence[Suite]) -> None:
        self.count = 0
        self.total = len(suites)
        self.width = max(len(suite.name) for suite in suites)
        self.colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def show(self, suite: Suite, outcome: Outcome, seconds: float) -> None:
        """One line, then the output of failures, then the reasons of skipped tests."""
        self.count += 1
        counts = [f"{outcome.passed} passed"]
        counts += [f"{outcome.failed} failed"] if outcome.failed else []
        counts += [f"{outcome.skipped} skipped"] if outcome.skipped else []
        word, code = ("FAIL", "31") if outcome.failed else ("skip", "33")
        if not outcome.failed and outcome.passed:
            word, code = "ok", "32"
        mark = f"\033[{code}m{word:4}\033[0m" if self.colour else f"{word:4}"
        print(f"[{self.count:{len(str(self.total))}}/{self.total}] {mark} "
              f"{suite.name:{self.width}}  {seconds:6.1f} s  {', '.join(counts)}")
        for line in outcome.text.splitlines() if outcome.failed or outcome.skipped else []:
            print("        " + line)
        sys.stdout.flush()


def run_all(suites: Sequence[Suite], absent: Sequence[str]) -> List[Outcome]:
    """First what can share the machine, side by side; then what measures time, one by one."""
    progress = Progress(suites)

    def timed(suite: Suite) -> Outcome:
        start = time.monotonic()
        outcome = attempt(suite, absent)
        progress.show(suite, outcome, time.monotonic() - start)
        return outcome

    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        outcomes = list(pool.map(timed, [suite for suite in suites if not suite.alone]))
    return outcomes + [timed(suite) for suite in suites if suite.alone]


def total(outcomes: Sequence[Outcome]) -> str:
    """The closing line, which other programs read."""
    passed, failed, skipped = (sum(getattr(outcome, key) for outcome in outcomes)
                               for key in ("passed", "failed", "skipped"))
    return f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else "")


def hand_on_signals() -> None:
    """Programs under test get signals as a terminal would give them.

    What a shell starts in the background, or nohup, ignores some, and hands that on to all its
    children; a signal that has a handler is the default's again in a child.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGHUP, signal.SIGQUIT):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="tests/run.py", description="Runs perflab's tests.")
    parser.add_argument("--fast", action="store_true", help="only the quick suites")
    parser.add_argument("--suite", default="", metavar="NAME", help="only those that begin so")
    parser.add_argument("--list", action="store_true", help="print the names and stop")
    options = parser.parse_args(arguments)
    suites = choose(all_suites(options.fast), options)
    if options.list:
        for suite in suites:
            print(f"{suite.name:40} {', '.join(suite.needs)}")
        return 0
    hand_on_signals()
    start = time.monotonic()
    outcomes = run_all(suites, absent_tools(suites))
    print(f"\n{len(suites)} suites in {time.monotonic() - start:.0f} s")
    print(total(outcomes))
    return 1 if any(outcome.failed for outcome in outcomes) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
