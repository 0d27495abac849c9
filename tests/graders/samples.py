"""Results of every kind, for the tests of the reports."""
from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Dict, Tuple

from graders import diagnosis, verdict
from graders.model import (ERROR, FAIL, INCONCLUSIVE, PASS, Answer, EvidenceSpec, Finding, Lab,
                           Machine, Pair, Question, Result, TimeVerdict)

GROWTH = EvidenceSpec("growth", "growth_exponent", "growth of time with n", Fraction("1.35"), None,
                      (1000, 4000, 16000), "Twice the input should take about twice the time.")
ALLOCS = EvidenceSpec("allocs", "allocs_per_op", "allocations per result", Fraction(40), None,
                      (5000,), "Growing by doubling needs a dozen.")
EXPONENT = Question("exponent", "By which power of n does the time of slow.c grow?", "number",
                    "growth_exponent", Fraction("1.8"), Fraction("2.2"), Fraction("0.15"),
                    (1000, 4000), False, "make lab03-bench")
TIME_4N = replace(EXPONENT, name="time_4n", low=Fraction(13), high=Fraction(19),
                  ask="How many times as long does slow.c take for 4n?")
LAB = Lab("03", "string_building", "String building", Path("/repo/labs/03_string_building"),
          Path("/nowhere/solutions/03_string_building"), 30, 1, "cpu", Fraction(4), 5000,
          (0, 1, 100), (60, 20, 20), (GROWTH, ALLOCS), (EXPONENT, TIME_4N), ("a", "b", "c"))
MACHINE = Machine("Intel(R) Xeon(R) Processor @ 2.00GHz", 2, "Linux 6.18.5", "gcc 12.2.0",
                  "-O2 -g", ("seccomp", "rlimits", "no-new-privs"), (), ())


def timed(ratio: float, bar: Fraction = Fraction(4), seed: int = 1, spread: float = 0.01,
          pairs: int = 1000, note: str = "") -> TimeVerdict:
    rng, test = Random(seed), verdict.SignTest(bar)
    for number, slot in enumerate(verdict.plan(rng, test)):
        if number >= pairs:
            break
        slow = round(4e7 * math.exp(rng.gauss(0, spread)))
        student = round(4e7 / ratio * math.exp(rng.gauss(0, spread)))
        test.add(Pair(slot.seed, slow, student, slot.student_first, slot.slow_layout,
                      slot.student_layout, slow + 10000, student + 10000))
    return test.decide(0.008, note)


def findings(growth: float, allocs: float) -> Tuple[Finding, ...]:
    return (Finding(GROWTH, growth, 1.98, growth <= 1.35,
                    f"growth of time with n: {growth:.2f}, at most 1.35 (slow 1.98)"),
            Finding(ALLOCS, allocs, 5001, allocs <= 40,
                    f"allocations per result: {allocs:,.0f}, at most 40 (slow 5,001)"))


def answered(exponent: str, time_4n: str) -> Tuple[Answer, ...]:
    return (diagnosis._answer(EXPONENT, exponent, 1.98), diagnosis._answer(TIME_4N, time_4n, 15.7))


PASSED = Result(LAB, Path("/repo/labs/03_string_building/student.c"), PASS, MACHINE, 42, 3.14, 27,
                "", timed(52.3), findings(1.02, 14), answered("2", "16"), (60, 20, 20))
SHIPPED = replace(PASSED, state=FAIL, time=timed(1.0), findings=findings(1.98, 5001),
                  answers=answered("", ""), points=(0, 0, 0))


def failed(kind: str, text: str, detail: str = "", state: str = FAIL) -> Result:
    return replace(PASSED, state=state, time=None, findings=(), answers=(), seconds=0.4,
                   points=(None, None, None), outputs_checked=0, error_kind=kind,
                   error_text=text, error_detail=detail)


COMPILER = """student.c: In function 'join_fields':
student.c:12:16: error: expected ';' before '}' token
   12 |     return out
      |                ^
      |                ;
   13 | }
      | ~"""

RESULTS: Dict[str, Result] = {
    "pass": PASSED,
    "shipped": SHIPPED,
    "slower": replace(SHIPPED, time=timed(0.8), answers=answered("2", "16"), points=(0, 0, 20)),
    "faster-cause-kept": replace(
        SHIPPED, time=timed(4.9), findings=findings(1.97, 5001), answers=answered("2", "8"),
        points=(60, 0, 10)),
    "answers-missing": replace(SHIPPED, time=timed(60), findings=findings(1.01, 2),
                               answers=answered("2", ""), points=(60, 20, 10)),
    "noisy": replace(
        SHIPPED, state=INCONCLUSIVE, findings=findings(1.1, 14), answers=answered("2", "16"),
        time=timed(5, spread=0.4, pairs=13, note="the time budget of 20 s is used up"),
        points=(None, 20, 20), machine=replace(MACHINE, missing=("landlock: kernel too old",),
        warnings=("3.1 programs want 2 cores: close the others",
                  "the governor is powersave: sudo cpupower frequency-set -g performance",
                  "turbo is on: echo 1 | sudo tee /sys/devices/system/cpu/intel_pstate/no_turbo"))),
    "at-the-bar": replace(
        SHIPPED, state=INCONCLUSIVE, findings=findings(1.1, 14), answers=answered("2", "16"),
        time=timed(4.0), points=(None, 20, 20)),
    "other-submission": replace(SHIPPED, submission=Path("/home/ada/my work/student.c"),
                                answers=answered("2", "16"), points=(0, 0, 20)),
    "output-wrong": replace(
        SHIPPED, outputs_text="3 of 27 inputs give another output than expected, the first is "
        "n = 7, seed 99: the separator after the last field is missing", time=None, findings=(),
        points=(0, 0, 0)),
    "compile": failed("compile", "student.c:12: expected ';' before '}'", COMPILER),
    "crash": failed("crash", "Your code was stopped by SIGSEGV: it used memory that is not its "
                             "own. Input: n = 100, seed 7."),
    "hang": failed("hang", "No answer after 2.0 s; slow.c takes 0.04 s for n = 5000."),
    "forbidden": failed("forbidden", "your code tried to start a new process (fork)"),
    "early-exit": failed("early-exit", "exit(0) was called while n = 1, seed 3 was worked on"),
    "wrong-output": failed(
        "wrong-output", "n = 2, seed 5: the outputs differ from byte 19 on",
        'expected  ...GET /index.html|200\n     got  ...GET /index.html200\x1b[2J\n'
        "                             ^"),
    "memory": failed("memory", "your code asked for more than 1 GiB of memory"),
    "protocol": failed("protocol", "the worker answered with 17 bytes nobody asked for"),
    "no-compiler": failed("grader", "no C compiler: 'cc' is not installed; "
                                    "install one with 'sudo apt install gcc'", state=ERROR),
}
