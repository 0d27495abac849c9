"""The values that travel between the modules: plain, immutable, without behaviour of their own.

    lab.py makes a Lab; build.py a Build; worker.py Runs; verdict.py a TimeVerdict; evidence.py
    Findings; diagnosis.py Answers; grade.py puts them into one Result, and report.py turns that
    into any format.
"""
from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Dict, Optional, Tuple

PASS, FAIL, INCONCLUSIVE, ERROR = "PASS", "FAIL", "INCONCLUSIVE", "ERROR"
EXIT_CODES = {PASS: 0, FAIL: 1, INCONCLUSIVE: 75, ERROR: 2}


class GraderError(Exception):
    """Grading is impossible (no compiler, a malformed lab.ini). One line: what, where, the fix."""


class SubmissionError(Exception):
    """The student's code stops the grading: does not compile, crashes, hangs, answers wrongly.

    ``kind`` is a stable word for machines (compile, link, crash, hang, forbidden, early-exit,
    wrong-output, ...), the message is the line that the student reads, ``detail`` what stands
    below it (compiler output, a diff).
    """

    def __init__(self, kind: str, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.detail = detail


@dataclass(frozen=True)
class EvidenceSpec:
    """One section ``[evidence.NAME]`` of lab.ini."""
    name: str
    kind: str                       # growth_exponent, allocs_per_op, ...: see evidence.py
    title: str                      # what the report calls it
    maximum: Optional[Fraction]     # the measured value may not be above it
    minimum: Optional[Fraction]     # nor below
    sizes: Tuple[int, ...]          # input sizes to measure at
    because: str                    # one sentence for the student when it does not hold
    counter: str = ""               # of kind counted: what workload_count calls it
    bench: str = ""                 # of kind bench_error: the benchmark
    benches: Tuple[str, ...] = ()   # those of the lab, which are measured together


@dataclass(frozen=True)
class Question:
    """One section ``[question.NAME]`` of lab.ini; its answer stands under NAME in answers.ini."""
    name: str
    ask: str
    kind: str                       # number, word, words
    measure: str                    # what the answer is checked against: see diagnosis.py
    low: Optional[Fraction]         # accepted whatever this machine measures
    high: Optional[Fraction]
    tolerance: Optional[Fraction]   # accepted relative distance to a measurement of ours
    sizes: Tuple[int, ...]
    machine: bool                   # the answer depends on the machine it was measured on
    how: str                        # the command that shows the right answer
    words: Tuple[str, ...] = ()     # of kind word: one of them; of kind words: all, where a|b is
                                    # either
    function: str = ""              # of measure profile_share: whose share it is
    counter: str = ""               # of measure counted, as for evidence
    bench: str = ""                 # of measure bench_spread: the benchmark


@dataclass(frozen=True)
class Share:
    """A share of a profile in percent, and the interval in which the true one lies."""
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Lab:
    """One folder under labs/, as its lab.ini describes it."""
    id: str                         # "03"
    topic: str                      # "string_building"
    title: str
    path: Path
    solution: Path                  # may not exist in a student's copy
    minutes: int
    difficulty: int                 # 1 to 5
    clock: str                      # "cpu", "wall", or "none": no part of it is about time
    bar: Fraction                   # student must be faster than slow by this factor
    n: int                          # size of the timed operation
    oracle_sizes: Tuple[int, ...]   # sizes at which outputs are compared before measuring
    points: Tuple[int, int, int]    # time, evidence, diagnosis
    evidence: Tuple[EvidenceSpec, ...]
    questions: Tuple[Question, ...]
    hints: Tuple[str, ...]
    summary: str = ""               # one sentence for tables of labs
    bench_time: str = "1s"          # how long each benchmark of make labNN-bench runs
    threads: int = 1                # of the operation: so many processors take part
    slow_threads: int = 1           # of slow.c's
    profile: str = "cpu"            # what make labNN-profile shows: "cpu", or "leaks"


@dataclass(frozen=True)
class Pair:
    """One sample: slow and student on the same input, each in a fresh process, in turn."""
    seed: int
    slow_ns: int
    student_ns: int
    student_first: bool
    slow_layout: int
    student_layout: int
    slow_wall_ns: int
    student_wall_ns: int
    discarded: str = ""             # why a validity gate rejected the pair; empty when it counts


@dataclass(frozen=True)
class TimeVerdict:
    """What verdict.py says of the pairs."""
    state: str                      # PASS, FAIL or INCONCLUSIVE
    bar: Fraction
    pairs: Tuple[Pair, ...]
    wins: int                       # counted pairs in which the ratio was above the bar
    counted: int
    ratio: float                    # exp(median of ln(slow/student)) over the counted pairs
    low: float                      # order-statistic confidence interval of that median
    high: float
    confidence: float               # its exact coverage
    alpha: Fraction                 # the bound on a wrong verdict, each way
    noise: float                    # the machine's A/A noise: slow against slow, relative
    note: str = ""                  # why it is inconclusive, what was unusual


@dataclass(frozen=True)
class Finding:
    """One piece of evidence, measured."""
    spec: EvidenceSpec
    value: Optional[float]          # the student's
    slow_value: Optional[float]     # the slow version's, for comparison
    passed: bool
    text: str                       # one line for the report
    undecided: bool = False         # the machine was too noisy to tell; not passed then


@dataclass(frozen=True)
class Answer:
    """One question, checked."""
    question: Question
    given: str                      # as written in answers.ini, "" when blank
    measured: Optional[float]
    passed: bool
    text: str


@dataclass(frozen=True)
class Machine:
    """The facts of the machine and the build that belong beside every verdict."""
    processor: str
    cores: int
    system: str
    compiler: str
    flags: str
    sandbox: Tuple[str, ...]        # active layers by name
    missing: Tuple[str, ...]        # layers that could not be had, with the reason
    warnings: Tuple[str, ...]       # noise, governor, containers ...: with the mending command


@dataclass(frozen=True)
class Result:
    """Everything about one grading; the reports contain nothing that is not in here."""
    lab: Lab
    submission: Path
    state: str                      # PASS, FAIL, INCONCLUSIVE or ERROR
    machine: Machine
    seed: int
    seconds: float
    outputs_checked: int
    outputs_text: str               # "" when every output was right
    time: Optional[TimeVerdict]
    findings: Tuple[Finding, ...]
    answers: Tuple[Answer, ...]
    points: Tuple[Optional[int], Optional[int], Optional[int]]   # None: pending or not reached
    error_kind: str = ""            # of a SubmissionError or GraderError
    error_text: str = ""
    error_detail: str = ""
    next_step: str = ""
    extra: Dict[str, Any] = field(default_factory=dict)
