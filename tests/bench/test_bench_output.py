"""What a benchmark program prints and how it ends, seen from outside."""
from __future__ import annotations

import json
import math
import re
import signal
from pathlib import Path
from typing import Dict, List

import pytest
from conftest import COMPILERS, ROOT, Build, execute, results, tool, values

HERE = Path(__file__).resolve().parent
TWINS: List[Dict[str, object]] = json.loads((HERE / "golden" / "twin.json").read_text())

SMALL = """
#include "perflab.h"
#include <stdlib.h>
PL_BENCH(First) { PL_LOOP(b) { PL_CLOBBER(); } }
PL_BENCH(Second) { for (int64_t i = 0; i < b->n; i++) PL_CLOBBER(); }
static void child(pl_bench *b, void *arg) { (void)arg; PL_LOOP(b) { } }
PL_BENCH(Parent) { pl_bench_run(b, "x=1", child, NULL); pl_bench_run(b, "x=2", child, NULL); }
PL_BENCH(Alloc)
{
    PL_LOOP(b) { void *p = malloc(100); PL_KEEP(p); free(p); }
}
PL_BENCH_MAIN()
"""
FAST = "-benchtime=10x"


@pytest.fixture(scope="module")
def small(build: Build) -> str:
    """A program with a few ordinary benchmarks."""
    return str(build(SMALL))


# Go's text ----------------------------------------------------------------------------------------

TWIN_KINDS = [("gcc", "c99"), ("clang", "c99"), ("gcc", "c++11"), ("clang", "c++11")]


@pytest.mark.parametrize("compiler,standard", TWIN_KINDS)
def test_output_is_gos_to_the_byte(build: Build, compiler: str, standard: str) -> None:
    """24 command lines of twin_test.go in Go and of twin.c here."""
    program = str(build((HERE / "twin.c").read_text(), compiler=compiler, standard=standard))
    for twin in TWINS:
        arguments = [str(word) for word in twin["arguments"]]      # type: ignore
        if not any(word.startswith("-cpu=") for word in arguments):
            arguments.append("-cpu=2")
        text = execute([program, *arguments]).stdout
        lines = [line for line in text.splitlines(keepends=True)
                 if not re.match(r"(goos|goarch|pkg|cpu): |# ", line)]
        assert "".join(lines) == twin["stdout"], arguments


def test_labels_stand_first(small: str) -> None:
    lines = execute([small, FAST, "-bench=First"]).stdout.splitlines()
    assert re.match(r"goos: [a-z]+$", lines[0])
    assert re.match(r"goarch: [a-z0-9]+$", lines[1])
    assert not any(line.startswith("pkg:") for line in lines)
    assert lines[-1] == "PASS"


def test_nothing_but_comments_varies(small: str) -> None:
    """A line "key: value" that differs would keep benchstat from comparing two files."""
    texts = [execute([small, FAST, "-shuffle=on"]).stdout for _ in range(2)]
    labels = [[line for line in text.splitlines() if re.match(r"[a-z][^ ]*: ", line)]
              for text in texts]
    assert labels[0] == labels[1]
    assert {line.split(":")[0] for line in labels[0]} <= {"goos", "goarch", "cpu"}


def test_package_is_named_when_asked(build: Build) -> None:
    flags = ["-O2", '-DPERFLAB_PKG="my/package"', '-DPERFLAB_FLAGS="-O2 -g"']
    text = execute([str(build(SMALL, flags=flags)), FAST, "-bench=First"]).stdout
    assert "\npkg: my/package\n" in text
    assert re.search(r"^# compiler: gcc \S+, flags -O2 -g$", text, re.MULTILINE)


def test_facts_are_comments(small: str) -> None:
    text = execute([small, FAST, "-bench=First"]).stdout
    for fact in ("processor", "clock", "governor", "turbo", "load", "aslr", "baseline", "compiler",
                 "steal"):
        assert re.search(rf"^# {fact}: \S", text, re.MULTILINE), fact


def test_unoptimised_code_is_warned_of(build: Build) -> None:
    text = execute([str(build(SMALL, flags=["-O0"])), FAST, "-bench=First"]).stdout
    assert re.search(r"^# warning: .*without optimisation.*add -O2$", text, re.MULTILINE)
    text = execute([str(build(SMALL)), FAST, "-bench=First"]).stdout
    assert "without optimisation" not in text


# flags --------------------------------------------------------------------------------------------


def test_without_flags_everything_runs(small: str) -> None:
    names = [line.split()[0] for line in results(execute([small, FAST, "-cpu=1"]).stdout)]
    assert names == ["BenchmarkFirst", "BenchmarkSecond", "BenchmarkParent/x=1",
                     "BenchmarkParent/x=2", "BenchmarkAlloc"]


def test_suffix_is_the_affinity(small: str) -> None:
    """Under taskset there is one processor, whose results have no suffix."""
    text = execute([tool("taskset"), "-c", "0", small, FAST, "-bench=First"]).stdout
    assert results(text)[0].split()[0] == "BenchmarkFirst"


def test_one_dash_or_two(small: str) -> None:
    for words in (["-bench", "First"], ["--bench", "First"], ["-bench=First"], ["--bench=First"]):
        assert len(results(execute([small, FAST, *words]).stdout)) == 1


def test_list(small: str) -> None:
    names = "BenchmarkFirst\nBenchmarkSecond\nBenchmarkParent\nBenchmarkAlloc\n"
    assert execute([small, "-list"]).stdout == names
    assert execute([small, "-list", "."]).stdout == names
    assert execute([small, "-list=First|Alloc"]).stdout == "BenchmarkFirst\nBenchmarkAlloc\n"


def test_help_names_every_flag(small: str) -> None:
    done = execute([small, "-help"])
    assert done.returncode == 0
    for flag in ("bench", "run", "list", "v", "count", "benchtime", "benchmem", "cpu", "shuffle",
                 "timeout", "json", "help"):
        assert re.search(rf"^  -{flag} ", done.stdout, re.MULTILINE), flag


def test_benchmem(small: str) -> None:
    line = results(execute([small, FAST, "-benchmem", "-bench=Alloc"]).stdout)[0]
    assert values(line)["allocs/op"] == 1
    assert values(line)["B/op"] >= 100
    line = results(execute([small, FAST, "-benchmem", "-bench=First"]).stdout)[0]
    assert (values(line)["allocs/op"], values(line)["B/op"]) == (0, 0)


def test_benchmem_where_nothing_is_counted(build: Build) -> None:
    """No figures are made up."""
    program = str(build(SMALL, config=["-DPERFLAB_NO_INTERPOSE"]))
    text = execute([program, FAST, "-benchmem", "-bench=Alloc"]).stdout
    assert "allocs/op" not in results(text)[0] and "# allocs: not counted" in text
    own = SMALL.replace("free(p); }", 'free(p); } pl_bench_report_metric(b, 7, "B/op");')
    text = execute([str(build(own, config=["-DPERFLAB_NO_INTERPOSE"])), FAST, "-benchmem",
                    "-bench=Alloc"]).stdout
    assert values(results(text)[0])["B/op"] == 7 and "allocs/op" not in results(text)[0]


def test_benchtime_is_lived_up_to(small: str) -> None:
    for name in ("First", "Second"):
        result = values(results(execute([small, "-benchtime=20ms", f"-bench={name}"]).stdout)[0])
        assert result["n"] * result["ns/op"] >= 0.019e9


def test_shuffle(small: str) -> None:
    def order(*flags: str) -> List[str]:
        text = execute([small, FAST, *flags]).stdout
        return [line.split()[0] for line in results(text)]
    plain = order()
    assert order("-shuffle=off") == plain
    orders = [order(f"-shuffle={seed}") for seed in range(1, 9)]
    assert all(sorted(names) == sorted(plain) for names in orders)
    assert len({tuple(names) for names in orders}) > 1
    assert order("-shuffle=3") == orders[2]
    text = execute([small, FAST, "-shuffle=on"]).stdout
    seed = re.search(r"^# shuffle: (-?\d+)$", text, re.MULTILINE)
    assert seed and order(f"-shuffle={seed.group(1)}") == [
        line.split()[0] for line in results(text)]


def test_goes_order_of_a_file_with_link_time_optimisation(build: Build) -> None:
    text = '#include "perflab.h"\n' + "".join(
        f"PL_BENCH(B{i}) {{ PL_LOOP(b) {{ }} }}\n" for i in range(30)) + "PL_BENCH_MAIN()\n"
    program = build(text, flags=["-O2", "-flto"])
    assert execute([str(program), "-list"]).stdout.split() == [f"BenchmarkB{i}" for i in range(30)]


def test_timeout(build: Build) -> None:
    program = str(build("""
#include "perflab.h"
PL_BENCH(Quick) { PL_LOOP(b) { } }
PL_BENCH(Stuck) { PL_LOOP(b) { for (volatile int i = 1; i;) { } } }
PL_BENCH_MAIN()
"""))
    done = execute([program, FAST, "-timeout=300ms"])
    assert done.returncode == 2
    assert done.stderr.startswith("perflab: BenchmarkStuck ") and "-timeout" in done.stderr
    assert results(done.stdout)[0].startswith("BenchmarkQuick")
    done = execute([program, FAST, "-timeout=1h", "-bench=Quick"])
    assert (done.returncode, done.stderr) == (0, "")


# nothing to do, and faults ------------------------------------------------------------------------


def test_no_match_is_said(small: str) -> None:
    for flags in (["-bench=Nothing"], ["-bench=Parent/nothing"]):
        done = execute([small, FAST, *flags])
        assert done.returncode == 0
        assert done.stdout.endswith("PASS\n")
        assert re.match(r'perflab: warning: no benchmarks to run: .*"\n?', done.stderr)
        assert flags[0].split("=")[1] in done.stderr and done.stderr.count("\n") == 1


def test_program_without_benchmarks(build: Build) -> None:
    done = execute([str(build('#include "perflab.h"\nPL_BENCH_MAIN()\n'))])
    assert (done.returncode, done.stdout) == (0, "PASS\n")
    assert "PL_BENCH(Name)" in done.stderr


FAULTS = [
    (["-nope"], "-nope", "-help"), (["-bench"], "-bench", "give one"),
    (["-bench=("], "(", "\\("), (["-run=["], "[", "-run"), (["-list=("], "(", "-list"),
    (["-benchtime=2"], '"2"', "2s"), (["-benchtime=0x"], '"0x"', "100x"),
    (["-count=0"], '"0"', "from 1"), (["-cpu=1,zwei"], '"1,zwei"', "1,2,4"),
    (["-shuffle=perhaps"], '"perhaps"', "on, off or a number"),
    (["-timeout=soon"], '"soon"', "90s"), (["-v=2"], '"2"', "true or false"),
    (["First"], '"First"', "-bench"), (["-tracer=x"], "-tracer", "-help"),
    (["-memprofilerate=0"], "\"0\"", "from 1"),
]


@pytest.mark.parametrize("arguments,thing,mend", FAULTS)
def test_faults_are_one_line(small: str, arguments: List[str], thing: str, mend: str) -> None:
    """Names the thing and the fix; nothing is printed or run."""
    done = execute([small, *arguments])
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("perflab: ") and done.stderr.count("\n") == 1
    assert thing in done.stderr and mend in done.stderr


@pytest.mark.parametrize("flags", [[], ["-json"], ["-list"], ["-help"], ["-bench=Nothing"]])
def test_full_disk(small: str, flags: List[str]) -> None:
    with open("/dev/full", "w") as full:
        done = execute([small, FAST, *flags], stdout=full)
    assert done.returncode == 2
    assert "perflab: cannot write results to standard output: No space left" in done.stderr
    assert done.stderr.count("cannot write") == 1


def test_closed_output(small: str) -> None:
    done = execute(["sh", "-c", f"exec {small} {FAST} >&-"])
    assert done.returncode == 2 and "cannot write results" in done.stderr


# benchmarks that go wrong -------------------------------------------------------------------------

WRONG = {
    "abort": "abort();", "crash": "volatile int *p = 0; *p = 1;", "exit": "exit(0);",
    "longjmp": "longjmp(home, 1);", "pthread_exit": "pthread_exit(NULL);",
}


@pytest.mark.parametrize("kind", sorted(WRONG))
@pytest.mark.parametrize("flags", [[], ["-json"]])
def test_results_before_a_crash_are_kept(build: Build, kind: str, flags: List[str]) -> None:
    program = str(build("""
#include "perflab.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdlib.h>
static jmp_buf home;
PL_BENCH(Good) { PL_LOOP(b) { } }
PL_BENCH(Wrong) { PL_LOOP(b) { } (void)home; %s }
int main(int argc, char **argv)
{
    return setjmp(home) ? 0 : pl_bench_main(argc, argv);
}
""" % WRONG[kind], flags=["-O0"]))
    done = execute([program, FAST, *flags])
    assert done.returncode != 0
    assert "BenchmarkGood" in done.stdout and "PASS" not in done.stdout
    if kind in ("abort", "crash"):
        assert done.returncode == -(signal.SIGABRT if kind == "abort" else signal.SIGSEGV)
    else:
        assert done.returncode == 1
        assert done.stderr.startswith("perflab: BenchmarkWrong ended the program")


def test_children_may_exit(build: Build) -> None:
    """exit() in a child made by fork is none in the benchmark."""
    program = str(build("""
#include "perflab.h"
#include <stdlib.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>
PL_BENCH(Fork)
{
    int status = 1;
    PL_LOOP(b) {
        pid_t pid = fork();
        if (pid == 0)
            exit(0);
        waitpid(pid, &status, 0);
    }
    if (status != 0)
        pl_bench_fail(b, "status %d", status);
}
PL_BENCH_MAIN()
""", standard="gnu11"))
    done = execute([program, "-benchtime=3x"])
    assert (done.returncode, done.stderr) == (0, "")


def test_program_may_go_on(build: Build) -> None:
    """After pl_bench_main a program is its own again, and may call it again."""
    program = str(build(SMALL.replace("PL_BENCH_MAIN()", """
int main(int argc, char **argv)
{
    int first = pl_bench_main(argc, argv), second = pl_bench_main(argc, argv);
    exit(first + second + 5);
}""")))
    done = execute([program, FAST, "-bench=First"])
    assert done.returncode == 5 and len(results(done.stdout)) == 2


# JSON ---------------------------------------------------------------------------------------------


def strict(text: str) -> List[Dict[str, object]]:
    """Objects of a JSON text, one a line, by the letter: no NaN, no repeated names."""
    def unique(pairs: List[object]) -> Dict[str, object]:
        names = [pair[0] for pair in pairs]        # type: ignore
        assert len(names) == len(set(names)), names
        return dict(pairs)                         # type: ignore

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")
    return [json.loads(line, object_pairs_hook=unique, parse_constant=refuse)
            for line in text.splitlines()]


ODD = r"""
#include "perflab.h"
static void leaf(pl_bench *b, void *arg)
{
    (void)arg;
    PL_LOOP(b) { }
    pl_bench_log(b, "a \"quote\", a \\ and \x01 and \xff and \xc3\xa9\nsecond");
}
PL_BENCH(Odd)
{
    pl_bench_run(b, "\"x\"\\\x02\xfe\xc3\xa9", leaf, NULL);
}
PL_BENCH(Values)
{
    double zero = 0;
    PL_HIDE(zero);
    pl_bench_set_bytes(b, 8);
    PL_LOOP(b) { }
    pl_bench_report_metric(b, zero / zero, "nan");
    pl_bench_report_metric(b, 1 / zero, "inf");
    pl_bench_report_metric(b, 0.1, "tenth");
    pl_bench_report_metric(b, 1e300, "\"big\"");
}
PL_BENCH(Fail) { pl_bench_fail(b, "wrong"); }
PL_BENCH_MAIN()
"""


def test_json_is_valid(build: Build) -> None:
    done = execute([str(build(ODD)), FAST, "-json", "-cpu=2", "-benchmem"])
    assert done.returncode == 1
    objects = strict(done.stdout)
    assert [entry["type"] for entry in objects] == ["environment", "benchmark", "benchmark",
                                                    "benchmark", "end"]
    assert objects[0]["format"] == 1 and "governor" in objects[0] and "compiler" in objects[0]
    odd, vals, fail, end = objects[1:]
    assert odd["name"] == 'BenchmarkOdd/"x"\\\\x02\ufffdé' and odd["procs"] == 2
    assert odd["log"] == 'a "quote", a \\ and \x01 and \ufffd and é\n    second\n'
    assert vals["metrics"] == {"nan": None, "inf": None, "tenth": 0.1, '"big"': 1e300}
    assert vals["n"] == 10 and vals["mb_per_s"] > 0 and vals["allocs_per_op"] == 0  # type: ignore
    assert fail["failed"] is True and fail["log"] == "wrong\n" and "n" not in fail
    assert end["passed"] is False and end["results"] == 3


def test_json_says_what_text_says(small: str) -> None:
    """The same members, a result for each line."""
    text = results(execute([small, FAST, "-cpu=2"]).stdout)
    objects = [entry for entry in strict(execute([small, FAST, "-cpu=2", "-json"]).stdout)
               if entry["type"] == "benchmark"]
    assert [f"{entry['name']}-{entry['procs']}" for entry in objects] == [
        line.split()[0] for line in text]
    for entry in objects:
        assert entry["n"] == 10 and entry["ns_per_op"] > 0                    # type: ignore
        assert entry["bytes_per_op"] is None and entry["metrics"] == {}


def test_json_without_results(small: str) -> None:
    objects = strict(execute([small, "-json", "-bench=Nothing"]).stdout)
    assert [(entry["type"], entry["passed"]) for entry in objects] == [("end", True)]


# other readers ------------------------------------------------------------------------------------


def test_benchstat_compares_two_programs(build: Build, tmp_path: Path) -> None:
    """Real benchstat puts old and new into one table and sees which is faster: a tenth of the work,
    so that a busy machine changes nothing."""
    benchstat = tool("benchstat")
    for name, rounds in (("old", 1000), ("new", 100)):
        program = build("""
#include "perflab.h"
PL_BENCH(Work) { PL_LOOP(b) { for (int i = 0; i < %d; i++) PL_CLOBBER(); } }
PL_BENCH(Memory) { PL_LOOP(b) { PL_CLOBBER(); } }
PL_BENCH_MAIN()
""" % rounds, name=f"{name}.c")
        text = execute([str(program), "-count=10", "-benchtime=3ms", "-benchmem"]).stdout
        (tmp_path / f"{name}.txt").write_text(text)
    done = execute([benchstat, "old.txt", "new.txt"], cwd=tmp_path)
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.count("sec/op") == 2, "one table of times: a heading for each file"
    change = re.search(r"^Work\S*\s.*\s(-\d+\.\d+)% \(p=0\.0\d\d n=10\)$", done.stdout,
                       re.MULTILINE)
    assert change and -99 < float(change.group(1)) < -50, done.stdout


# the code that compilers make ---------------------------------------------------------------------

KERNELS = """
#include "perflab.h"
#include <stdlib.h>
#include <string.h>
struct pair { long a, b; };
void square(void) { int x = 7; PL_HIDE(x); PL_KEEP(x * x); }
void fsquare(void) { double x = 7; PL_HIDE(x); PL_KEEP(x * x); }
void length(const char *s) { for (int i = 0; i < 3; i++) { PL_KEEP(strlen(s)); } }
void fill(void) { char a[100]; memset(a, 1, sizeof a); PL_KEEP(&a); }
void heap(void) { char *p = (char *)malloc(10); PL_KEEP(p); free(p); }
int counter;
void stored(pl_bench *b) { PL_LOOP(b) { counter++; } }
void whole(void) { struct pair p = {3, 4}; PL_HIDE(p); p.a *= p.b; PL_KEEP(p); }
"""
KEPT = {"stored": r"\b(add|inc)l.*\(%rip\)", "square": r"\bimul", "fsquare": r"\bmulsd",
        "heap": r"\bmalloc", "whole": r"\bimul"}


def disassemble(path: Path, function: str) -> str:
    """The instructions of one function."""
    text = execute([tool("objdump"), "-dr", "--no-show-raw-insn", str(path)]).stdout
    found = re.search(rf"<(?:_Z\d+)?{function}\w*>:\n(.*?)(?:\n\n|\Z)", text, re.DOTALL)
    assert found, function
    return found.group(1)


@pytest.mark.parametrize("standard", ["c99", "c++11"])
@pytest.mark.parametrize("level", ["-O0", "-O1", "-O2", "-O3", "-Os"])
@pytest.mark.parametrize("compiler", sorted(COMPILERS))
def test_work_is_not_optimised_away(compiler: str, level: str, standard: str,
                                    tmp_path: Path) -> None:
    source, target = tmp_path / "kernels.c", tmp_path / "kernels.o"
    source.write_text(KERNELS)
    language = "c" if standard == "c99" else "c++"
    front = compiler if language == "c" else COMPILERS[compiler]
    execute([tool(front), f"-std={standard}", level, f"-I{ROOT}", "-x", language, "-c", str(source),
             "-o", str(target)], check=True)
    machine = execute(["uname", "-m"]).stdout.strip()
    for function, pattern in KEPT.items():
        if level == "-O0" and function == "stored":
            continue    # each access is made anyway, in another form
        if machine == "x86_64" or function == "heap":
            assert re.search(pattern, disassemble(target, function)), function
    if machine == "x86_64" and level not in ("-O0",):
        code = disassemble(target, "square")
        assert not re.search(r"\(%r[sb]p\)", code), "a scalar is kept in a register:\n" + code


@pytest.mark.parametrize("compiler", sorted(COMPILERS))
def test_bodies_survive_full_optimisation(build: Build, compiler: str) -> None:
    """With -O3 and -flto each body takes longer than nothing does."""
    program = build("""
#include "perflab.h"
#include <stdlib.h>
#include <string.h>
static char text[5000];
PL_BENCH(Nothing) { PL_LOOP(b) { } }
PL_BENCH(Strlen) { memset(text, 'x', sizeof text - 1); PL_LOOP(b) { PL_KEEP(strlen(text)); } }
PL_BENCH(Memset) { char a[5000]; PL_LOOP(b) { memset(a, 1, sizeof a); PL_KEEP(&a); } }
PL_BENCH(Malloc) { PL_LOOP(b) { void *p = malloc(10); PL_KEEP(p); free(p); } }
PL_BENCH(Divide)
{
    int x = 1000, y = 7;
    PL_LOOP(b) { PL_HIDE(x); PL_HIDE(y); PL_KEEP(x / y % 5); }
}
PL_BENCH_MAIN()
""", compiler=compiler, flags=["-O3", "-flto"] if compiler == "gcc" else ["-O3"])
    lines = results(execute([str(program), "-benchtime=20ms"]).stdout)
    times = {line.split()[0].split("-")[0]: values(line)["ns/op"] for line in lines}
    nothing = times.pop("BenchmarkNothing")
    assert nothing > 0 and math.isfinite(nothing)
    for name, time in times.items():
        assert time > 2 * nothing, (name, time, nothing)


EVERYTHING = """
#include "perflab.h"
struct pair { int a, b; };
union word { int i; float f; };
enum colour { RED, GREEN };
static void leaf(pl_bench *b, void *arg) { (void)arg; PL_LOOP(b) { continue; } }
static void thread(pl_parallel *pb, void *arg) { (void)arg; while (PL_NEXT(pb)) PL_CLOBBER(); }
PL_NOINLINE static int twice(int x) { return 2 * x; }
static PL_NOINLINE int thrice(int x) { return 3 * x; }
PL_BENCH(Everything)
{
    bool_type flag = 1;
    char c = 1; signed char sc = 1; unsigned char uc = 1; short s = 1; unsigned short us = 1;
    int i = 1; unsigned u = 1; long l = 1; unsigned long ul = 1; long long ll = 1;
    unsigned long long ull = 1; float f = 1; double d = 1; long double ld = 1;
    const int constant = 1; const char *text = "text"; void (*function)(pl_bench *, void *) = leaf;
    struct pair pair = {1, 2}; union word word; enum colour colour = RED; int array[3] = {1, 2, 3};
    word.i = 1;
    PL_HIDE(flag); PL_HIDE(c); PL_HIDE(sc); PL_HIDE(uc); PL_HIDE(s); PL_HIDE(us); PL_HIDE(i);
    PL_HIDE(u); PL_HIDE(l); PL_HIDE(ul); PL_HIDE(ll); PL_HIDE(ull); PL_HIDE(f); PL_HIDE(d);
    PL_HIDE(ld); PL_HIDE(text); PL_HIDE(function); PL_HIDE(pair); PL_HIDE(word); PL_HIDE(colour);
    PL_HIDE(array); PL_HIDE(array[1]); PL_HIDE(pair.b);
    PL_KEEP(flag); PL_KEEP(c); PL_KEEP(sc); PL_KEEP(uc); PL_KEEP(s); PL_KEEP(us); PL_KEEP(i);
    PL_KEEP(u); PL_KEEP(l); PL_KEEP(ul); PL_KEEP(ll); PL_KEEP(ull); PL_KEEP(f); PL_KEEP(d);
    PL_KEEP(ld); PL_KEEP(constant); PL_KEEP(text); PL_KEEP(text[1]); PL_KEEP(function);
    PL_KEEP(pair); PL_KEEP(word); PL_KEEP(colour); PL_KEEP(&array); PL_KEEP(array[1] + twice(i));
    PL_KEEP(f * d + thrice(3)); PL_KEEP(!flag); PL_KEEP(pair.a); PL_KEEP((char)i);
    if (i)
        PL_KEEP(i);
    else
        PL_HIDE(i);
    pl_bench_report_allocs(b); pl_bench_set_bytes(b, 1); pl_bench_set_parallelism(b, 1);
    pl_bench_stop_timer(b); pl_bench_start_timer(b); pl_bench_reset_timer(b);
    pl_bench_report_metric(b, (double)pl_bench_elapsed_ns(b), "ns");
    pl_bench_log(b, "n %d", (int)b->n);
    pl_bench_parallel(b, thread, NULL);
}
PL_BENCH(Parent) { pl_bench_run(b, "x", leaf, NULL); }
PL_BENCH(Unused) { }
PL_BENCH_MAIN()
"""


@pytest.mark.parametrize("standard", ["c99", "c11", "gnu17", "c++11", "c++17"])
@pytest.mark.parametrize("compiler", sorted(COMPILERS))
def test_the_api_is_clean(build: Build, compiler: str, standard: str) -> None:
    """Every macro and call, without a warning, in C99 and C++11 as in later ones."""
    text = EVERYTHING.replace("bool_type", "bool" if "++" in standard else "_Bool")
    for level in ("-O0", "-O2"):
        program = build(text, compiler=compiler, standard=standard, flags=[level, "-Wshadow"])
        done = execute([str(program), "-benchtime=5x"])
        assert done.returncode == 0, done.stdout + done.stderr


def test_object_in_several_files(tmp_path: Path) -> None:
    """Benchmarks of two files in one program, even with the same names."""
    one, two, main = tmp_path / "one.c", tmp_path / "two.c", tmp_path / "perflab.o"
    one.write_text('#include "perflab.h"\nPL_BENCH(Same) { PL_LOOP(b) { } }\n')
    two.write_text('#include "perflab.h"\nPL_BENCH(Same) { PL_LOOP(b) { } }\nPL_BENCH_MAIN()\n')
    execute(["gcc", "-O2", "-DPERFLAB_IMPL", "-x", "c", "-c", str(ROOT / "perflab.h"), "-o",
             str(main)], check=True)
    program = tmp_path / "program"
    execute(["gcc", "-O2", f"-I{ROOT}", str(one), str(two), str(main), "-o", str(program),
             "-pthread"], check=True)
    assert execute([str(program), "-list"]).stdout == "BenchmarkSame\nBenchmarkSame\n"


@pytest.mark.parametrize("config", [[], ["-DPERFLAB_NO_INTERPOSE"]])
def test_static_program(build: Build, config: List[str]) -> None:
    """Benchmarks run in a static program; allocations are counted or said not to be."""
    program = str(build(SMALL, flags=["-O2", "-static"], config=config))
    done = execute([program, FAST, "-benchmem", "-bench=Alloc"])
    line = results(done.stdout)[0]
    assert done.returncode == 0
    assert ("allocs/op" in line) != ("# allocs: not counted" in done.stdout)
