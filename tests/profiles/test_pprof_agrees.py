"""`go tool pprof` is the judge: it reads what we write, and its tables are ours."""
from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Dict, List

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_profiles import MS, full, profile, rows, write

import deps
from graders import pprof
from graders.profile import Mapping, Profile

ROOT = Path(__file__).resolve().parents[2]
CPU, HEAP, MUTEX = "cpu-1.pb.gz", "cpu-1-heap.pb.gz", "cpu-1-mutex.pb.gz"
# Said by one of the two only, or in its own words.
OWN_WORDS = re.compile(r"(Time|Build ID|Lost|Note|Active filters|Doc): ?.*|   \w+=.*")


def lines(text: str) -> List[str]:
    """A top table without what pprof says in words of its own."""
    kept = [re.sub(r"\(\s+", "(", line) for line in text.splitlines()]
    return [line.rstrip() for line in kept if not OWN_WORDS.fullmatch(line)]


def pprofs(*arguments: object, folder: Path = ROOT) -> str:
    go = deps.find_program("go")
    assert go
    done = subprocess.run([go, "tool", "pprof", "-symbolize=none", *map(str, arguments)],
                          cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def ours(*arguments: object, folder: Path = ROOT) -> str:
    done = subprocess.run([sys.executable, "-m", "graders", "top", *map(str, arguments)],
                          cwd=folder, capture_output=True, text=True, check=False, timeout=120,
                          env={"PYTHONPATH": str(ROOT), "PATH": deps.search_path()})
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("theirs, mine", [
    ([CPU], [CPU]),
    (["-cum", CPU], ["--cum", CPU]),
    (["-nodecount=7", CPU], ["--count", "7", CPU]),
    (["-nodecount=30", "-cum", CPU], ["--count", "30", "--cum", CPU]),
    (["-sample_index=samples", CPU], ["--sample", "samples", CPU]),
    ([CPU, "cpu-2.pb.gz"], [CPU, "cpu-2.pb.gz"]),
    (["-base", CPU, "cpu-2.pb.gz"], ["--base", CPU, "cpu-2.pb.gz"]),
    (["-base", "cpu-2.pb.gz", "-cum", CPU], ["--base", "cpu-2.pb.gz", "--cum", CPU]),
    (["-focus=sort", CPU], ["--focus", "sort", CPU]),
    (["-focus=profiles.go", CPU], ["--focus", "profiles.go", CPU]),
    (["-show_from=main.work", CPU], ["--from", "main.work", CPU]),
    (["-show_from=runtime", "-cum", CPU], ["--from", "runtime", "--cum", CPU]),
    ([HEAP], [HEAP]),
    (["-sample_index=alloc_objects", HEAP], ["--sample=alloc_objects", HEAP]),
    (["-sample_index=alloc_space", HEAP], ["--sample=alloc_space", HEAP]),
    (["-base", HEAP, "cpu-2-heap.pb.gz"], ["--base", HEAP, "cpu-2-heap.pb.gz"]),
    ([MUTEX], [MUTEX]), (["-cum", MUTEX], ["--cum", MUTEX]),
    (["-sample_index=contentions", MUTEX], ["--sample=contentions", MUTEX])],
    ids=lambda arguments: " ".join(arguments))
def test_tables_agree_to_the_byte(go_files: Path, theirs: List[str], mine: List[str]) -> None:
    expected = lines(pprofs("-top", *theirs, folder=go_files))
    assert len(expected) > 5
    assert lines(ours(*mine, folder=go_files)) == expected


def numbers(text: str) -> List[str]:
    """The numbers of a table by line: the paths before the lines are cut in two ways."""
    return [" ".join(row[:5]) + re.sub(r" \S*/", " ", row[5]) for row in rows(text)]


@pytest.mark.parametrize("options", [[], ["-cum"]], ids=["flat", "cum"])
def test_tables_of_lines_agree(go_files: Path, options: List[str]) -> None:
    mine = ["--cum"] if options else []
    expected = numbers(pprofs("-top", "-lines", *options, CPU, folder=go_files))
    found = numbers(ours("--lines", *mine, CPU, folder=go_files))
    assert sorted(found) == sorted(expected) and expected


def test_gos_own_profiles_pass_the_strictest_check(go_files: Path) -> None:
    found = [pprof.read(path, strict=True) for path in sorted(go_files.glob("*.pb.gz"))]
    assert len(found) == 6
    for made in found:
        assert made.samples and made.locations and made.functions
        assert made.mappings[0].has_functions and made.mappings[0].file
        assert pprof.load(pprof.dump(made), strict=True) == made


def test_pprof_sees_no_difference_when_we_write_its_files_anew(go_files: Path,
                                                               tmp_path: Path) -> None:
    for path in go_files.glob("*.pb.gz"):
        pprof.write(pprof.read(path), tmp_path / "again.pb.gz")
        assert pprofs("-raw", tmp_path / "again.pb.gz") == pprofs("-raw", path)


def test_pprof_reads_every_field_that_we_write(tmp_path: Path) -> None:
    text = pprofs("-raw", write(tmp_path, "full.pb.gz", full()))
    for words in ("PeriodType: cpu nanoseconds", "Period: 10000000", "samples/count",
                  "cpu/nanoseconds[dflt]", "a comment", "key:[text]", "bytes:[64 bytes]",
                  "main m\u00e9.c:3", "/opt/app ab12 [FN][FL][LN][IN]", "Duration: 2s",
                  "DocURL: https://example.org"):
        assert words in text.replace("Doc: ", "DocURL: "), (words, text)


FRAMES = st.sampled_from(["a", "b", "c:3", "c:4", "d+a", "d+b+c:3", "a b(int)"])
STACKS = st.dictionaries(st.lists(FRAMES, max_size=6).map(";".join), st.integers(-50, 4000),
                         max_size=7)


@given(STACKS, st.booleans(), st.sampled_from([0, 0, 1, 3]))
@settings(max_examples=30, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_profile_has_the_same_table(tmp_path: Path, stacks: Dict[str, int], cum: bool,
                                        count: int) -> None:
    path = write(tmp_path, "any.pb.gz", profile(stacks, duration_nanos=1500 * MS))
    theirs = ["-cum"] * cum + [f"-nodecount={count}"] * bool(count)
    mine = ["--cum"] * cum + ["--count", str(count)] * bool(count)
    assert lines(ours(*mine, path)) == lines(pprofs("-top", *theirs, path))


PRUNED = {"main;work;malloc;inner": 2, "main;malloc": 1, "malloc;top": 4, "x+malloc+y;deep": 8,
          "main;x+malloc+y;deep": 16, "main;operator new(unsigned long);low": 32}


@pytest.mark.parametrize("drop, keep", [
    ("malloc", ""), ("malloc|operator new", ""), (".*", "main"), ("mal", ""), ("m.*", "malloc")])
def test_dropped_frames_agree(tmp_path: Path, drop: str, keep: str) -> None:
    made = profile(PRUNED, drop_frames=drop, keep_frames=keep)
    path = write(tmp_path, "pruned.pb.gz", made)
    assert lines(ours(path)) == lines(pprofs("-top", path))


def test_merging_agrees_for_code_at_other_addresses(tmp_path: Path) -> None:
    here = profile({"main;work": 4, "main": 1})
    there = replace(here, mappings=(Mapping(1, 0x701000, 0x709000, 0, "/opt/app"),),
                    locations=tuple(replace(item, address=item.address + 0x700000)
                                    for item in here.locations))
    more = replace(here, mappings=(Mapping(1, 0x1000, 0x9000, 0, "/opt/other"),))
    for other in (there, more):
        one, two = write(tmp_path, "1.pb.gz", here), write(tmp_path, "2.pb.gz", other)
        assert lines(ours(one, two)) == lines(pprofs("-top", one, two))
        assert lines(ours("--base", one, two)) == lines(pprofs("-top", "-base", one, two))


def without_names(made: Profile) -> Profile:
    return replace(made, locations=tuple(replace(item, lines=()) for item in made.locations))


def test_modules_stand_for_functions_without_a_name(tmp_path: Path) -> None:
    path = write(tmp_path, "bare.pb.gz", without_names(profile({"main;work": 4, "main": 1})))
    assert lines(ours(path)) == lines(pprofs("-top", path))
