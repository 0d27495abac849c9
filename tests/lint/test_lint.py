"""Each rule of lint.py is shown something that keeps it, and something that breaks it."""
from __future__ import annotations

import sys
from pathlib import Path
from typing import Callable, Dict, List

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
import course  # noqa: E402
import files  # noqa: E402
import header  # noqa: E402
import lint  # noqa: E402
import metrics  # noqa: E402
from repo import Repo  # noqa: E402

OPENING = """/* perflab.h
   CONTENTS
       >>api        what programs use
       >>platform   the system
       >>clock      time
   INTERPOSED: malloc
*/
"""
API = """#ifndef PERFLAB_H
#define PERFLAB_H
/* ==== >>api ==== */
#define PL_VERSION "0.1.0"
/* pl_now_ns returns nanoseconds.
   Threads: any. Signal-safe: yes. */
unsigned long pl_now_ns(void);
#endif
#ifdef PERFLAB_IMPL
"""
PLATFORM = """/* ==== >>platform ==== */
#if defined(__linux__)
#define PLI_LINUX 1
#endif
/* What the layers above stand on. */
static unsigned long pli_os_now_sig(void) { return 1; }
"""
CLOCK = """/* ==== >>clock ==== */
unsigned long pl_now_ns(void) { return pli_os_now_sig(); }
"""
END = "#endif\n"
GOOD = OPENING + API + PLATFORM + CLOCK + END


def offences(rule: Callable, text: str) -> List[str]:
    """What a rule says of a perflab.h."""
    return [str(offence) for offence in rule(Repo({"perflab.h": text}))]


def found(rule: Callable, **texts: str) -> List[str]:
    """What a rule says of files; a__b_md stands for a/b.md."""
    paths: Dict[str, str] = {name.replace("__", "/").replace("_md", ".md").replace("_py", ".py"):
                             text for name, text in texts.items()}
    return [str(offence) for offence in rule(Repo(paths))]


@pytest.mark.parametrize("rule", sorted(set(header.RULES) - {header.comment_share}, key=str))
def test_a_good_header_breaks_no_rule(rule: Callable) -> None:
    assert offences(rule, GOOD) == []


@pytest.mark.parametrize("rule", lint.RULES)
def test_an_empty_repository_breaks_no_rule(rule: Callable) -> None:
    assert list(rule(Repo({}))) == []


BROKEN = [
    (header.contents_equal_tags, GOOD.replace("       >>clock      time\n", ""), "platform clock"),
    (header.contents_equal_tags, OPENING + API + CLOCK + PLATFORM + END, "api clock platform"),
    (header.platform_conditionals, GOOD.replace(CLOCK, CLOCK + "#ifdef __APPLE__\n#endif\n"),
     "__APPLE__"),
    (header.platform_conditionals,
     GOOD.replace(CLOCK, CLOCK + "#if PLI_X || \\\n    defined(__x86_64__)\n#endif\n"),
     "__x86_64__"),
    (header.forward_declarations,
     GOOD.replace(CLOCK, "static int pli_late(void);\n" + CLOCK), "pli_late"),
    (header.forward_declarations,
     GOOD.replace(CLOCK, "extern void\npli_late(int)\n    __attribute__((weak));\n" + CLOCK),
     "pli_late"),
    (header.macro_names, GOOD.replace("PLI_LINUX", "LINUX"), "macro LINUX"),
    (header.macro_names, GOOD.replace("PLI_LINUX 1", "min(a, b) ((a) < (b))"), "macro min"),
    (header.type_names, GOOD.replace(CLOCK, CLOCK + "struct ring { int a; };\n"), "type ring"),
    (header.type_names, GOOD.replace(CLOCK, CLOCK + "static int helper(void) { return 1; }\n"),
     "helper"),
    (header.exported_symbols, GOOD.replace("static unsigned long pli_os", "unsigned long pli_os"),
     "pli_os_now_sig"),
    (header.exported_symbols, GOOD.replace(CLOCK, CLOCK + "int leaked;\n"), "leaked"),
    (header.exported_symbols, GOOD.replace(CLOCK, CLOCK + "int pl_x = none;\n"), "not compile"),
    (header.budgets, GOOD.replace(CLOCK, CLOCK + "\n" * 900), ">>clock"),
    (header.budgets, GOOD.replace(API, API.replace("#endif", "\n" * 1300 + "#endif")), "the API"),
    (header.budgets, GOOD + "\n" * header.LINES, str(header.LINES)),
    (header.function_lengths, GOOD.replace(CLOCK, CLOCK + "int pl_f(void)\n{" + "\n" * 81 + "}\n"),
     "pl_f has 82"),
    (header.function_lengths, GOOD + "".join(
        f"int pl_{i}(void)\n{{{chr(10) * 12}}}\n" for i in range(5)), "median 13"),
    (header.function_lengths, GOOD + "".join(
        f"int pl_{i}(void)\n{{{chr(10) * (40 if i < 3 else 2)}}}\n" for i in range(10)),
     "90th percentile 41"),
    (header.comment_share, API + PLATFORM + CLOCK.replace(
        "/* ", "unsigned pl_many[] = {\n" + "1,\n" * 60 + "};\n/* "), "comments"),
    (header.public_comments, GOOD.replace("/* pl_now_ns returns", "/* Returns"), "begins with"),
    (header.public_comments, GOOD.replace("Threads: any.", ""), "Threads:"),
    (header.public_comments, GOOD.replace("Signal-safe: yes", "Signal-safe: maybe"), "Signal-safe"),
    (header.public_comments, GOOD.replace(
        "unsigned long pl_now_ns(void);", "unsigned long pl_now_ns(void);\nvoid pl_bare(void);", 1),
     "pl_bare: its comment begins"),
]


@pytest.mark.parametrize("rule, text, words", BROKEN)
def test_a_broken_header_is_caught(rule: Callable, text: str, words: str) -> None:
    assert any(words in line for line in offences(rule, text)), offences(rule, text)


@pytest.mark.parametrize("body, culprit", [
    ("return time(0);", "time"),
    ("return PLI_NOW();", "time"),                          # hidden in a macro
    ("return hooks->take(1);", "take"),                     # through a pointer
    ('/* time(0) */ return pl_x_sig("time(0)");', ""),      # in a comment, in a string
    ("if (a) { while (b) { } } return sizeof(int);", ""),
    ("atomic_fetch_add(&a, 1); __builtin_trap(); memcpy(a, b, 1); return 0;", ""),
])
def test_signal_functions_call_only_what_is_safe(body: str, culprit: str) -> None:
    text = f"#define PLI_NOW() time(0)\nstatic int pli_f_sig(void) {{ {body} }}\n"
    lines = offences(header.signal_functions, text)
    assert [culprit in line for line in lines] == ([True] if culprit else [])


def test_pointers_and_typedefs_are_no_forward_declarations() -> None:
    more = ("static void *(*pli_next)(int);\ntypedef int pli_fn(void);\n"
            "static int pli_a = pli_f(1);\n"
            'static void *pli_own(int) __attribute__((alias("malloc")));\n')
    assert offences(header.forward_declarations, GOOD.replace(CLOCK, CLOCK + more)) == []


def test_metrics_count_like_a_person() -> None:
    text = ('/* one\n   two */\nint f(void) /* three */\n{\n    return g("}");  // four\n}\n'
            "struct s {\n    int a;\n};\n\nstatic int t[] = {\n    1,\n};\n"
            'extern "C" {\nint h(int a) { return a; }\n}\n')
    shape = metrics.measure(text)
    assert [(f.name, f.line, f.length) for f in shape.functions] == [("f", 4, 3), ("h", 15, 1)]
    assert shape.comment_percent == round(100 * 4 / (4 + 13))
    assert shape.widest == len('    return g("}");  // four')


@pytest.mark.parametrize("code, words", [
    ("match a:\n    case 1: pass\n", "3.9"),
    ("def f(:\n", "3.9"),
    ("def f() -> int: ...\n", "annotations"),
])
def test_python_newer_than_the_oldest_supported(code: str, words: str) -> None:
    assert any(words in line for line in found(files.python_syntax, graders__x_py=code))


def test_python_without_types() -> None:
    code = "def f(a, b: int) -> int: ...\ndef g(self, *, c): ...\ndef h(): ...\nlambda x: x\n"
    lines = found(files.python_types, graders__x_py=code)
    assert [line.split(": ", 1)[1] for line in lines] == [
        "f: no type for a", "g: no type for c", "h: no type for the result"]
    assert found(files.python_types, tests__things__test_x_py=code) == []


@pytest.mark.skipif(sys.version_info < (3, 10), reason="3.9 has no list of its own modules")
def test_python_imports_only_the_library() -> None:
    code = "import os\nimport numpy as np\nfrom . import model\nfrom graders import lab\n"
    assert len(found(files.python_imports, graders__x_py=code)) == 1
    assert found(files.python_imports, tests__things__test_x_py=code) == []


PARITY = "| Go | perflab | state |\n|---|---|---|\n"


@pytest.mark.parametrize("state, words", [
    ("done: `tests/unit/test_a.py::test_b`", ""),
    ("done: `tests/unit/test_a.py`, `tests/unit/test_a.py::test_b`", ""),
    ("planned: cpu profiles", ""),
    ("done: `tests/unit/test_none.py`", "no test file"),
    ("done: `tests/unit/test_a.py::test_c`", "no test test_c"),
    ("done: soon", "names no test"),
    ("done", "write 'done"),
    ("", "write 'done"),
])
def test_parity_claims(state: str, words: str) -> None:
    lines = found(files.parity_rows, docs__parity_md=PARITY + f"| `b.N` | `b->n` | {state} |\n",
                  tests__unit__test_a_py="def test_b(): ...\n")
    assert len(lines) == bool(words) and all(words in line for line in lines)


def test_code_blocks_have_a_language() -> None:
    text = "```sh\nmake\n```\ntext\n```\nmake\n```\n"
    assert found(files.code_blocks, README_md=text) == [
        "README.md:5: a code block without a language: sh, c, text, ..."]


def test_links_lead_somewhere() -> None:
    text = "[a](b.md) [c](../README.md#top) [d](adr/) [e](https://go.dev) [f](#x) [g](gone.md)\n"
    assert found(files.links, docs__a_md=text, docs__b_md="", docs__adr__c_md="", README_md="") == [
        "docs/a.md:1: the link to gone.md leads nowhere"]


@pytest.mark.parametrize("text, words", [
    ("int a;" + " " * 95 + "\n", "columns"), ("int a; \n", "blanks"), ("\tint a;\n", "tab"),
    ("int a;", "no end"), ("int a;\n", ""),
])
def test_columns(text: str, words: str) -> None:
    lines = [str(offence) for offence in files.columns(Repo({"bench/a.c": text}))]
    assert any(words in line for line in lines) if words else lines == []


@pytest.mark.parametrize("text, caught", [
    ("/* TO" "DO: later */", True), ("FIX" "ME", True), ("/ro" "ot/x", True),
    ("a/work/b and todos and /rooted/", False),
])
def test_markers_and_places(text: str, caught: bool) -> None:
    assert bool(found(files.markers, docs__a_md=text)) == caught


@pytest.mark.parametrize("path, text, caught", [
    ("labs/a.o", "", True), ("labs/a.c~", "", True), ("notes.txt", "", True),
    ("docs/a.png", "\0", False), ("docs/a.md", "\0", True), ("docs/b.md", "a" * 600_000, True),
    ("labs/01_x/slow.c", "int a;\n", False),
])
def test_stray_files(path: str, text: str, caught: bool) -> None:
    assert bool(list(files.stray_files(Repo({path: text})))) == caught


@pytest.mark.parametrize("changelog, caught", [
    ("# Changes\n\n## 0.1.0 (today)\n\n## 0.0.9\n", False), ("## 0.2.0\n", True), ("", True)])
def test_version_is_the_changelogs(changelog: str, caught: bool) -> None:
    repo = Repo({"perflab.h": GOOD, "CHANGELOG.md": changelog})
    assert bool(list(files.version(repo))) == caught


@pytest.mark.parametrize("text, caught", [
    ("all: x ## everything\nCC := cc\n", False), ("all: x\n", True), ("x = 1\n" * 151, True)])
def test_makefile_budget_and_help(text: str, caught: bool) -> None:
    assert bool(list(files.makefile(Repo({"Makefile": text})))) == caught


def test_lint_reports_every_rule_as_a_test(capsys: pytest.CaptureFixture) -> None:
    assert lint.print_tap(Repo({"notes.txt": "x"})) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"1..{len(lint.RULES)}"
    assert sum(line.startswith("not ok") for line in lines) == 1
    assert any(line.startswith("# notes.txt: ") for line in lines)


def lab_texts() -> Dict[str, str]:
    """The texts of lab 03 and of the page that lists it."""
    everything = Repo.load(lint.ROOT).files
    found = {path: text for path, text in everything.items() if "/03_string_building/" in path}
    lab = course.labs.read(lint.ROOT / "labs" / "03_string_building")
    found["README.md"] = (f"<!-- {course.readme.LABS} -->\n" + course.readme.labs_table([lab])
                          + "<!-- end -->\n")
    return found


@pytest.mark.parametrize("rule, path, old, new, words", [
    (course.lab_manifests, "labs/03_string_building/lab.ini", "bar = 10", "bar = ten", "'ten'"),
    (course.lab_tables, "labs/03_string_building/lab.ini", "bar = 10", "bar = 11",
     "graders readme 03"),
    (course.lab_tables, "labs/03_string_building/README.md", "at most 1.35", "at most 1.3",
     "graders readme 03"),
    (course.lab_tables, "README.md", "03 String", "03 Strings", "differs from the labs"),
    (course.lab_notes, "solutions/03_string_building/NOTES.md", "96.2x", "99x", "graders record"),
    (course.lab_notes, "solutions/03_string_building/recorded.ini", "13", "12", "graders record"),
    (course.lab_folders, "solutions/03_string_building/NOTES.md", "", "", ""),
])
def test_labs_and_what_is_made_from_them(rule: Callable, path: str, old: str, new: str,
                                         words: str) -> None:
    texts = lab_texts()
    assert list(rule(Repo(texts))) == []
    assert old in texts[path]
    if words:
        texts[path] = texts[path].replace(old, new)
    else:
        texts["solutions/91_ghost/NOTES.md"] = ""
    offences = [str(offence) for offence in rule(Repo(texts))]
    assert len(offences) == 1 and words in offences[0], offences


def test_a_recorded_run_may_be_wide() -> None:
    wide = "benchmark = " + "x" * 100 + "\n"
    assert list(files.columns(Repo({"solutions/01_x/recorded.ini": wide}))) == []
    assert list(files.columns(Repo({"labs/01_x/lab.ini": wide})))
