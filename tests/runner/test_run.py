"""The test runner itself: a runner that miscounts makes every other test worthless."""
from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture()
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """tests/run.py as a module, with a repository of its own in tmp_path."""
    spec = importlib.util.spec_from_file_location("perflab_run", ROOT / "tests" / "run.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "perflab_run", module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "OUTPUT", tmp_path / "build")
    monkeypatch.setattr(module, "CI", False)
    return module


def unit_test(root: Path, body: str) -> Path:
    """A C test below root whose main has this body."""
    source = root / "tests" / "unit" / "test_thing.c"
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_text("#include <stdio.h>\n#include <stdlib.h>\nint main(void) { %s }\n" % body)
    return source


def counts(outcome: object) -> tuple:
    return tuple(getattr(outcome, key) for key in ("passed", "failed", "skipped"))


def test_tap_is_counted_and_failures_keep_their_diagnosis(runner: ModuleType) -> None:
    text = "1..4\nok 1 - a\nnot ok 2 - b\n# got 3\nok 3 - c # SKIP no kernel for it\nok 4 - d\n"
    outcome, complete = runner.parse_tap(text)
    assert counts(outcome) == (2, 1, 1) and complete
    assert outcome.text == "not ok 2 - b\n# got 3"


@pytest.mark.parametrize("text", ["", "ok 1 - a\n", "1..2\nok 1 - a\n", "1..0\n"])
def test_tap_without_all_planned_tests_is_incomplete(runner: ModuleType, text: str) -> None:
    assert not runner.parse_tap(text)[1]


@pytest.mark.parametrize("body, expected", [
    ('puts("1..1\\nok 1 - a"); return 0;', (1, 0, 0)),
    ('puts("1..1\\nok 1 - a"); return 3;', (1, 1, 0)),
    ('puts("1..2\\nok 1 - a"); return 0;', (1, 1, 0)),
    ('puts("1..1\\nnot ok 1 - a"); return 1;', (0, 1, 0)),
    ('puts("1..1\\nnot ok 1 - a"); return 0;', (0, 2, 0)),
    ('puts("1..1\\nok 1 - a"); fflush(stdout); abort();', (1, 1, 0)),
    ('return undeclared;', (0, 1, 0)),
])
def test_a_unit_test_passes_only_when_plan_results_and_status_agree(
        runner: ModuleType, tmp_path: Path, body: str, expected: tuple) -> None:
    source = unit_test(tmp_path, body)
    assert counts(runner.run_unit(source, "gcc-O2", runner.unit_options(source))) == expected


def test_a_unit_test_may_leave_variants_out(runner: ModuleType, tmp_path: Path) -> None:
    source = unit_test(tmp_path, "return 0;")
    source.write_text("/* run: without=tsan,asan flags=-ldl alone=yes */\n" + source.read_text())
    assert all(suite.alone for suite in runner.unit_suites())
    names = [suite.name for suite in runner.unit_suites()]
    assert names == ["unit/thing gcc-O0", "unit/thing gcc-O2",
                     "unit/thing clang-O0", "unit/thing clang-O2"]
    assert runner.unit_options(source)["flags"] == ["-ldl"]


def test_a_unit_test_may_compile_a_part_of_the_header(runner: ModuleType, tmp_path: Path) -> None:
    source = unit_test(tmp_path, "return 0;")
    source.write_text("/* run: upto=first */\n#include \"perflab.h\"\n" + source.read_text())
    (tmp_path / "perflab.h").write_text("\n".join((
        "/* ==== >>first === */", "", "/* ==== >>second === */", "#error second",
        "/* ==== >>profile === */", "#error profile", "#endif /* PERFLAB_IMPL_DONE */", "")))
    folder = runner.cut_header("first")
    assert (folder / "perflab.h").read_text().startswith("/* ==== >>first === */\n\n\n__attr")
    assert (folder / "perflab.h").read_text().endswith("}\n#endif /* PERFLAB_IMPL_DONE */\n")
    assert "#error second\n#endif" in (runner.cut_header("second") / "perflab.h").read_text() \
        .replace(runner.STAND_IN, "")
    assert runner.STAND_IN not in (runner.cut_header("profile") / "perflab.h").read_text()
    with pytest.raises(SystemExit, match="upto=third"):
        runner.cut_header("third")


@pytest.mark.parametrize("wish", ["without=tsam", "witout=tsan", "flags="])
def test_a_misspelt_wish_names_the_file(runner: ModuleType, tmp_path: Path, wish: str) -> None:
    source = unit_test(tmp_path, "return 0;")
    source.write_text(f"/* run: {wish} */\n")
    with pytest.raises(SystemExit, match="test_thing.c"):
        runner.unit_options(source)


def python_test(root: Path, text: str) -> Path:
    folder = root / "tests" / "things"
    folder.mkdir(parents=True)
    (folder / "test_things.py").write_text(text)
    return folder


THREE = """import pytest
def test_a(): pass
def test_b(): assert 1 == 2
def test_c(): pytest.skip("no benchstat")
"""


def test_pytest_is_counted(runner: ModuleType, tmp_path: Path) -> None:
    outcome = runner.run_pytest(python_test(tmp_path, THREE))
    assert counts(outcome) == (1, 1, 1)
    assert "assert 1 == 2" in outcome.text


def test_a_fast_run_leaves_slow_files_out(runner: ModuleType, tmp_path: Path) -> None:
    folder = python_test(tmp_path, THREE)
    (folder / "test_long.py").write_text("def test_long(): pass\n")
    assert runner.run_pytest(folder).passed == 2
    assert runner.run_pytest(folder, left_out=["test_long.py"]).passed == 1
    assert runner.run_pytest(folder, "long", ["test_long.py"]).passed == 1


def test_a_skipped_test_fails_on_ci(runner: ModuleType, tmp_path: Path,
                                    monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "CI", True)
    outcome = runner.run_pytest(python_test(tmp_path, THREE))
    assert counts(outcome) == (1, 2, 0)
    assert "no benchstat" in outcome.text


@pytest.mark.parametrize("text", ["", "import nothing_of_that_name\n"])
def test_a_folder_that_tests_nothing_fails(runner: ModuleType, tmp_path: Path, text: str) -> None:
    assert runner.run_pytest(python_test(tmp_path, text)).failed == 1


def test_a_missing_tool_skips_here_and_fails_on_ci(runner: ModuleType,
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    suite = runner.Suite("things", ("wibble",), lambda: runner.Outcome(passed=1))
    left_out = runner.attempt(suite, ["wibble"])
    assert counts(left_out) == (0, 0, 1) and "wibble" in left_out.text
    monkeypatch.setattr(runner, "CI", True)
    assert counts(runner.attempt(suite, ["wibble"])) == (0, 1, 0)
    assert counts(runner.attempt(suite, [])) == (1, 0, 0)


def test_the_closing_line(runner: ModuleType) -> None:
    some = [runner.Outcome(3, 0, 0), runner.Outcome(2, 1, 0)]
    assert runner.total(some) == "5 passed, 1 failed"
    assert runner.total([*some, runner.Outcome(skipped=2)]) == "5 passed, 1 failed, 2 skipped"


def test_a_hanging_suite_is_a_failure(runner: ModuleType, tmp_path: Path,
                                      monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "TIME_LIMIT", 1)
    source = unit_test(tmp_path, "for (;;) {}")
    outcome = runner.run_unit(source, "gcc-O0", runner.unit_options(source))
    assert outcome.failed == 1 and "no end after 1 s" in outcome.text


def test_what_a_shell_ignores_in_the_background_is_not_handed_on(runner: ModuleType) -> None:
    code = ("import signal, subprocess, sys; sys.path.insert(0, 'tests'); import run; "
            "run.hand_on_signals(); "
            "subprocess.run(['grep', 'SigIgn', '/proc/self/status'])")
    ignoring = ("import os, signal, sys; "
                "[signal.signal(n, signal.SIG_IGN) for n in (signal.SIGINT, signal.SIGHUP)]; "
                "os.execv(sys.executable, [sys.executable, '-c', sys.argv[1]])")
    done = subprocess.run([sys.executable, "-c", ignoring, code], cwd=ROOT, text=True,
                          stdout=subprocess.PIPE, check=True)
    assert int(done.stdout.split()[1], 16) & 0b11 == 0


def test_every_suite_needs_only_known_tools(runner: ModuleType,
                                            monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "ROOT", ROOT)
    known = {need.name for need in runner.deps.NEEDS} | {"pytest", "benchstat", "setarch"}
    for suite in runner.all_suites():
        assert set(suite.needs) <= known, suite.name
