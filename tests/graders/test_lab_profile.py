"""Profiles of a lab: taken whole or not at all, shown, and used to check a share."""
from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import List

import pytest
from fixture_lab import LAB, ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from made_profiles import profile, rows, write
from scipy import stats

import graders.__main__ as command_line
from graders import build, diagnosis, evidence, lab as labs, lab_profile, pprof
from graders.model import GraderError, Lab, Question, Share
from graders.profile import Profile

QUESTION = Question(
    name="share", ask="What share?", kind="number", measure="profile_share", low=None, high=None,
    tolerance=Fraction(1, 50), sizes=(1,), machine=True, how="make lab90-profile",
    function="squeeze")
STACKS = {"main;run;squeeze;memmove": 700, "main;run;squeeze": 100, "main;run;check": 200}


def stand_in(folder: Path, made: Profile, script: str = 'cp "$here/made.pb.gz" "$2"') -> Path:
    """A program of benchmarks that has its profile ready."""
    write(folder, "made.pb.gz", made)
    program = folder / "bench"
    program.write_text(f'#!/bin/sh\nhere="{folder}"\necho "$@" > "$here/arguments"\n{script}\n')
    program.chmod(0o755)
    return program


def test_a_profile_is_taken_with_the_benchmarks_own_flag(tmp_path: Path) -> None:
    target = tmp_path / "new" / "profile.pb.gz"
    lab_profile.take(stand_in(tmp_path, profile(STACKS)), target, "50ms")
    words = (tmp_path / "arguments").read_text().split()
    assert words[0] == "-cpuprofile" and words[2:] == ["-benchtime", "50ms"]
    assert pprof.read(target) == profile(STACKS)
    assert [path.name for path in target.parent.iterdir()] == ["profile.pb.gz"]


@pytest.mark.parametrize("script, words", [
    ("echo oh no >&2; exit 3", r"the benchmarks failed \(exit 3\): oh no; make labNN-bench"),
    ("kill -SEGV $$", r"failed \(signal 11\)"), ("exit 0", "cannot be read"),
    ("echo text that is no profile > $2", "is text"), (": > $2", "is empty")])
def test_what_goes_wrong_is_one_line_and_leaves_the_last_profile(tmp_path: Path, script: str,
                                                                 words: str) -> None:
    target = tmp_path / "profile.pb.gz"
    target.write_bytes(b"the last one")
    with pytest.raises(GraderError, match=words) as caught:
        lab_profile.take(stand_in(tmp_path, profile({}), script), target)
    assert "\n" not in str(caught.value) and target.read_bytes() == b"the last one"
    assert not list(tmp_path.glob(".profile*"))


LEAKS = """perflab: 2 leaks: 100 bytes in 1 block, 1 descriptor, 0 threads
  lost: 100 bytes in 1 block, allocated at
      #0   0x55d0c8f3a1b3  copy_name+0x1a  /home/me/bench
      #1   0x55d0c8f3a20e  service_handle+0x2c  /home/me/bench
      #2   0x55d0c8f3a30e  pl_bench_main+0x2c  /home/me/bench
  descriptor 4 (pipe:[7]), opened at
      #0   0x55d0c8f3a1b3  elsewhere+0x1a  /home/me/bench
"""


def test_leaks_are_shown_without_the_harness(tmp_path: Path) -> None:
    (tmp_path / "report").write_text(LEAKS)
    program = stand_in(tmp_path, profile({}), 'cat "$here/report" >&2; echo $PERFLAB > "$here/set"')
    shown = lab_profile.leaks(program, {"service_handle"})
    assert (tmp_path / "arguments").read_text().split() == ["-benchtime", "1x"]
    assert (tmp_path / "set").read_text() == "leakcheck=2\n"
    assert shown.splitlines() == [
        "perflab: 2 leaks: 100 bytes in 1 block, 1 descriptor, 0 threads",
        "  lost: 100 bytes in 1 block, allocated at", "      copy_name", "      service_handle",
        "  descriptor 4 (pipe:[7]), opened at", "      elsewhere"]


def test_the_environments_perflab_does_not_reach_the_benchmarks(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERFLAB", "cpu=other.pb.gz")
    script = 'test -z "$PERFLAB" || exit 4; cp "$here/made.pb.gz" "$2"'
    lab_profile.take(stand_in(tmp_path, profile(STACKS), script), tmp_path / "out.pb.gz")


def test_a_share_counts_what_a_function_calls() -> None:
    found = lab_profile.share(profile(STACKS), "squeeze")
    assert found is not None and found.value == pytest.approx(80)
    assert found.low < 80 < found.high and found.high - found.low < 8
    nothing = lab_profile.share(profile(STACKS), "other")
    assert nothing is not None and nothing.value == 0


def test_too_few_samples_have_no_share() -> None:
    assert lab_profile.share(profile({"a": 99}), "a") is None
    assert lab_profile.share(profile({"a": 100}), "a") is not None
    assert lab_profile.share(profile({"a": 500, "b": -1}), "a") is None
    heap = replace(profile({"a": 500}), sample_types=profile({}).sample_types[1:] * 2)
    assert lab_profile.share(heap, "a") is None


@given(st.integers(1, 5000), st.data())
@settings(max_examples=100, deadline=None)
def test_the_interval_is_wilsons(count: int, data: st.DataObject) -> None:
    found = data.draw(st.integers(0, count))
    expected = stats.binomtest(found, count).proportion_ci(0.99, method="wilson")
    assert lab_profile.wilson(found, count) == pytest.approx(
        (expected.low, expected.high), abs=1e-4)


class Shares:
    """Counts how often a profile was asked for."""

    def __init__(self, *shares: Share) -> None:
        self.shares, self.asked = shares, 0

    def __call__(self, question: Question) -> "tuple[Share, ...]":
        self.asked += 1
        return self.shares


def answer(tmp_path: Path, given: str, shares: Shares,
           question: Question = QUESTION) -> "diagnosis.Answer":
    path = tmp_path / "answers.ini"
    path.write_text(f"[answers]\nshare = {given}\n")
    lab = replace(labs.load(ROOT, "90"), questions=(question,))
    return diagnosis.check(lab, path, {}, shares)[0]


@pytest.mark.parametrize("given, passed", [
    ("80", True), ("78.5", True), ("77", True), ("84.9", True), ("76.4", False), ("85", False),
    ("8", False)])
def test_an_answer_may_lie_in_the_interval_of_a_profile(tmp_path: Path, given: str,
                                                        passed: bool) -> None:
    found = answer(tmp_path, given, Shares(Share(80, 78, 83.3)))
    assert found.passed is passed and found.measured == 80
    if not passed:
        assert found.text == f"{given} is not what slow.c does; look again: make lab90-profile"


def test_a_second_profile_counts_too(tmp_path: Path) -> None:
    shares = Shares(Share(80, 78, 83), Share(60, 58, 63))
    assert answer(tmp_path, "60", shares).passed and answer(tmp_path, "80", shares).passed


@pytest.mark.parametrize("given", ["", "many", "95"])
def test_profiles_are_only_taken_when_they_can_decide(tmp_path: Path, given: str) -> None:
    shares = Shares()
    sure = replace(QUESTION, low=Fraction(90), high=Fraction(100))
    assert answer(tmp_path, given, shares, sure).passed == (given == "95")
    assert shares.asked == 0
    assert not answer(tmp_path, "50", shares, sure).passed and shares.asked == 1
    other = replace(QUESTION, measure="growth_factor", function="")
    assert not answer(tmp_path, "50", shares, other).passed and shares.asked == 1


def sources(lab: Lab, answers: Path, root: Path, monkeypatch: pytest.MonkeyPatch,
            program: Path) -> lab_profile.Shares:
    monkeypatch.setattr(build, "build_bench", lambda *_: program)
    return lab_profile.Shares(root, lab, answers, None, None)    # type: ignore[arg-type]


def test_the_submitted_profile_comes_first_and_the_graders_own_is_taken_once(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERFLAB_BUILD", str(tmp_path / "build"))
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    write(theirs, "profile.pb.gz", profile({"main;squeeze": 50, "main": 50}))
    program = stand_in(tmp_path, profile(STACKS))
    shares = sources(labs.load(ROOT, "90"), theirs / "answers.ini", ROOT, monkeypatch, program)
    assert next(iter(shares(QUESTION))).value == 50
    assert not (tmp_path / "arguments").exists()
    assert [share.value for share in shares(QUESTION)] == [50, pytest.approx(80)]
    (tmp_path / "arguments").unlink()
    assert [share.value for share in shares(QUESTION)] == [50, pytest.approx(80)]
    assert not (tmp_path / "arguments").exists() and shares.remarks == []


def test_of_the_labs_own_folder_the_kept_profile_counts(tmp_path: Path,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERFLAB_BUILD", str(tmp_path / "build"))
    lab = labs.load(ROOT, "90")
    kept = lab_profile.kept_profile(ROOT, lab, "slow")
    kept.parent.mkdir(parents=True)
    write(kept.parent, kept.name, profile({"squeeze": 30, "main": 70}))
    shares = sources(lab, LAB / "answers.ini", ROOT, monkeypatch, tmp_path / "none")
    assert [share.value for share in shares(QUESTION)] == [pytest.approx(30)]
    assert len(shares.remarks) == 1 and "slow.c could not be profiled" in shares.remarks[0]


def test_too_few_samples_of_the_graders_own_are_a_remark(tmp_path: Path,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERFLAB_BUILD", str(tmp_path / "build"))
    program = stand_in(tmp_path, profile({"squeeze": 5}))
    shares = sources(labs.load(ROOT, "90"), tmp_path / "answers.ini", ROOT, monkeypatch, program)
    assert list(shares(QUESTION)) == [] and "fewer than 100 samples" in shares.remarks[0]


@pytest.mark.parametrize("content, words", [
    (b"", "is empty"), (b"\x1f\x8bxx", "is damaged"), (None, "has fewer than 100 samples")])
def test_a_useless_submitted_profile_is_a_remark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                 content: bytes, words: str) -> None:
    monkeypatch.setenv("PERFLAB_BUILD", str(tmp_path / "build"))
    few = pprof.dump(profile({"squeeze": 5}))
    (tmp_path / "profile.pb.gz").write_bytes(few if content is None else content)
    program = stand_in(tmp_path, profile(STACKS))
    shares = sources(labs.load(ROOT, "90"), tmp_path / "answers.ini", ROOT, monkeypatch, program)
    assert [share.value for share in shares(QUESTION)] == [pytest.approx(80)]
    assert len(shares.remarks) == 1 and words in shares.remarks[0]
    assert "profile.pb.gz" in shares.remarks[0]


def test_a_share_needs_its_function_and_is_for_questions_only() -> None:
    lab = labs.load(ROOT, "90")
    evidence.validate(replace(lab, questions=(QUESTION,)))
    assert evidence.measure(None, replace(lab, questions=(QUESTION,))) == {}  # type: ignore
    for change in ({"function": ""}, {"measure": "growth_factor"}):
        bad = replace(lab, questions=(replace(QUESTION, **change),))  # type: ignore[arg-type]
        with pytest.raises(GraderError, match=r"\[question.share\] function: belongs to"):
            evidence.validate(bad)
    spec = replace(lab.evidence[0], kind="profile_share")
    with pytest.raises(GraderError, match="'profile_share' is unknown"):
        evidence.validate(replace(lab, evidence=(spec,)))


@pytest.mark.parametrize("flags, side, other", [
    ([], "slow", "make lab90-profile MINE=1"), (["--mine"], "student", "make lab90-profile ")])
def test_the_command_shows_the_labs_part_of_the_table(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
        flags: List[str], side: str, other: str) -> None:
    program = stand_in(tmp_path, profile(STACKS, duration_nanos=12 * 10 ** 9))
    built: List[Path] = []
    monkeypatch.setattr(build, "build_bench", lambda lab, source, *_: (built.append(source),
                                                                       program)[1])
    code = command_line.main(["profile", "--root", str(ROOT), *flags, "90"])
    out = capsys.readouterr().out
    assert code == 0 and [path.name for path in built] == [f"{side}.c"]
    assert [row[3:] for row in rows(out.partition("\n\n")[0])] == [
        ["8s", "80.00%", "squeeze"], ["7s", "70.00%", "memmove"]]
    path = lab_profile.kept_profile(ROOT, labs.load(ROOT, "90"), side)
    assert f"list {path} squeeze " in out and f"go tool pprof -http=: {path}" in out
    assert other in out and pprof.read(path) == pprof.read(tmp_path / "made.pb.gz")
    path.unlink()


def test_stacks_that_end_early_show_the_whole_table(tmp_path: Path,
                                                    monkeypatch: pytest.MonkeyPatch,
                                                    capsys: pytest.CaptureFixture[str]) -> None:
    program = stand_in(tmp_path, profile({"memmove": 700, "main;squeeze": 3}))
    monkeypatch.setattr(build, "build_bench", lambda *_: program)
    assert command_line.main(["profile", "--root", str(ROOT), "90"]) == 0
    out = capsys.readouterr().out
    assert "Note: most stacks end before they reach the lab's functions" in out
    assert [row[-1] for row in rows(out.partition("\n\n")[0])] == ["memmove"]


def test_complete_stacks_without_the_labs_functions_are_the_harness(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    program = stand_in(tmp_path, profile({
        "pl_bench_main;noise": 700, "pl_bench_main;squeeze": 100, "clone3;squeeze;memmove": 100}))
    monkeypatch.setattr(build, "build_bench", lambda *_: program)
    assert command_line.main(["profile", "--root", str(ROOT), "90"]) == 0
    out = capsys.readouterr().out
    assert "Note: most stacks end" not in out
    assert [row[-1] for row in rows(out.partition("\n\n")[0])] == ["squeeze", "memmove"]


def test_a_thread_that_begins_in_the_labs_file_is_shown(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    made = profile({"pl_bench_main;squeeze": 100, "clone3;part;memmove": 100,
                    "clone3;other": 100})
    made = replace(made, functions=tuple(
        replace(item, file="/labs/slow.c" if item.name == "part" else "/labs/workload.c")
        for item in made.functions))
    program = stand_in(tmp_path, made)
    monkeypatch.setattr(build, "build_bench", lambda *_: program)
    assert command_line.main(["profile", "--root", str(ROOT), "90"]) == 0
    out = capsys.readouterr().out
    assert {row[-1] for row in rows(out.partition("\n\n")[0])} == {"squeeze", "part", "memmove"}
