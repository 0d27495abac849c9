"""The decks: what they show is true, is built, and can be read from the back row."""
from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from slides import __main__ as command
from slides import build, deck, excerpt, look, measure, pictures, recorded, svg
from slides.plan import sections

ROOT = excerpt.ROOT
PATHS = deck.deck_paths()
IDS = [path.stem for path in PATHS]
NOTE = "<!-- What the speaker says here, in a sentence that is long enough. -->"


def a_deck(folder, *slides):
    """A deck of its own, outside slides/."""
    head = "---\nmarp: true\ntheme: perflab\ntitle: test\npaginate: true\nfooter: test\n---\n\n"
    path = folder / "99_test.md"
    path.write_text(head + "\n\n---\n\n".join(slides) + "\n")
    return deck.load(path)


# every deck ---------------------------------------------------------------------------------------


def test_every_lab_has_a_deck():
    labs = {path.name for path in (ROOT / "labs").glob("[0-9][0-9]_*")}
    assert labs | {"opening"} <= set(IDS)


@pytest.mark.parametrize("path", PATHS, ids=IDS)
def test_code_notes_length_and_questions(path):
    assert list(deck.faults(deck.load(path))) == []


@pytest.mark.parametrize("path", PATHS, ids=IDS)
def test_pictures_are_what_their_measurements_give(path):
    assert list(command.stale(path)) == []


@pytest.mark.parametrize("path", PATHS, ids=IDS)
def test_every_picture_and_measurement_is_used(path):
    text = path.read_text(encoding="utf-8") + path.with_suffix(".ini").read_text(encoding="utf-8")
    shown = {f"slides/{name}" for _, name in deck.PICTURE.findall(text)}
    drawn = {str(pictures.target(one).relative_to(ROOT)) for one in sections(path, "picture")}
    assert shown == drawn
    for one in sections(path, "measure"):
        words = text.replace(f"[measure.{one.name}]", "")
        assert re.search(rf"\b{one.name}\b", words), f"nothing uses the measurement {one.name}"


def test_no_picture_or_measurement_is_left_over():
    kept = {pictures.target(one) for path in PATHS for one in sections(path, "picture")}
    assert set((ROOT / "slides" / "pictures").iterdir()) == kept
    kept = {recorded.path_of(path.stem, one.name)
            for path in PATHS for one in sections(path, "measure")}
    assert set((ROOT / "slides" / "measured").iterdir()) == kept


@pytest.mark.parametrize("path", PATHS, ids=IDS)
def test_measurements_name_their_machine(path):
    for one in sections(path, "measure"):
        recording = recorded.load(path.stem, one.name)
        assert recording.facts["command"] == " ".join(one.need("run").split())
        assert recording.facts["machine"] and recording.facts["compiler"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", recording.facts["date"])


def test_drawing_again_gives_the_same_bytes():
    script = ("from slides import pictures; import hashlib; print(hashlib.sha256(''.join("
              "pictures.draw(one) for one in pictures.all_pictures()).encode()).hexdigest())")
    digests = {subprocess.check_output([sys.executable, "-c", script], cwd=ROOT,
                                       env=dict(os.environ, PYTHONHASHSEED=seed))
               for seed in ("1", "2")}
    assert len(digests) == 1


# built --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def seen():
    """Every slide as the browser measures it, by deck."""
    return look.measure(deck.chosen([]))


@pytest.mark.parametrize("name", IDS)
def test_nothing_overflows_and_the_back_row_can_read(seen, name):
    slides = seen[name]
    assert len(slides) == len(deck.slides(deck.load(ROOT / "slides" / f"{name}.md")))
    assert [fault for slide in slides for fault in command.seen_faults(slide)] == []


def test_make_slides_in_a_fresh_clone(tmp_path):
    names = subprocess.check_output(["git", "ls-files", "-z", "--cached", "--others",
                                     "--exclude-standard"], cwd=ROOT).decode().split("\0")
    for name in filter(lambda one: one and (ROOT / one).is_file(), names):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    done = subprocess.run(["make", "slides"], cwd=tmp_path, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, universal_newlines=True,
                          env=dict(os.environ, PYTHONPATH=""))
    assert done.returncode == 0, done.stdout
    output = tmp_path / "build" / "slides"
    for path in PATHS:
        page = (output / f"{path.stem}.html").read_text(encoding="utf-8")
        count = len(deck.slides(deck.load(path)))
        assert len(re.findall(r"<section\b", page)) == count
        assert (output / f"{path.stem}.pdf").read_bytes().startswith(b"%PDF")
        assert f'href="{path.stem}.html"' in (output / "index.html").read_text(encoding="utf-8")
        outside = re.findall(r"""(?:src|href)=["'](https?:[^"']*)|url\((https?:[^)]*)""", page)
        assert outside == [], "a page must open without a network"
    before = {path for path in tmp_path.rglob("*") if "build" not in path.parts}
    assert not [path for path in before if "node_modules" in path.parts]


def test_without_npm_the_message_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(build, "TOOLS", tmp_path / "tools")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert command.main(["build", "opening"]) == 2
    message = capsys.readouterr().err
    assert "npm" in message and "install" in message and message.count("\n") == 1


# the checks themselves ----------------------------------------------------------------------------


def test_the_browser_sees_what_does_not_fit(tmp_path):
    small = ('<figure>\n<svg xmlns="http://www.w3.org/2000/svg" width="400" height="100" '
             'viewBox="0 0 800 200"><text x="10" y="60" font-size="30">small</text>'
             '<text x="780" y="60" font-size="60">outside</text></svg>\n</figure>')
    item = a_deck(tmp_path, "## good\n\n- a line\n\n" + NOTE,
                  "## too much\n\n" + "- a line\n" * 14,
                  "## too wide\n\n```c\n" + "int x; " * 20 + "\n```\n",
                  "## too small\n\n" + small)
    good, much, wide, little = look.measure([item])["99_test"]
    assert command.seen_faults(good) == []
    assert any("too high" in fault for fault in much.faults)
    assert any("wider than the slide" in fault for fault in wide.faults)
    assert any("leaves its picture" in fault for fault in little.faults)
    assert any("picture of 15.0 px" in fault for fault in command.seen_faults(little))


def test_code_that_differs_from_its_file_is_a_fault(tmp_path):
    marker = "<!-- code: slides/programs/words.c:add -->"
    slide = f"## code\n\n{marker}\n```c\nint changed;\n```\n\n{NOTE}"
    item = a_deck(tmp_path, slide)
    assert any("differs from its file" in fault for fault in deck.faults(item))
    mended = deck.filled(item.text)
    assert "return t->known++;" in mended and "int changed;" not in mended
    assert deck.filled(mended) == mended


@pytest.mark.parametrize("marker, complaint", [
    ("slides/programs/words.c:no_such_function", "no_such_function"),
    ("slides/programs/none.c", "none.c"),
    ("slides/programs/words.c:add | strcpy ... no such line", "no such line"),
])
def test_a_marker_that_leads_nowhere_is_a_fault(tmp_path, marker, complaint):
    item = a_deck(tmp_path, f"## code\n\n<!-- code: {marker} -->\n```c\n```\n\n{NOTE}")
    assert any(complaint in fault for fault in deck.faults(item))


def test_slides_need_notes_code_needs_a_marker_and_decks_a_length(tmp_path):
    item = a_deck(tmp_path, "## no notes", f"## code\n\n```c\nint x;\n```\n\n{NOTE}")
    found = "\n".join(deck.faults(item))
    assert "slide 1 has no speaker notes" in found and "slide 2 has no" not in found
    assert "a code block without" in found
    assert "2 slides; a deck has 10 to 20" in found
    assert "no interview questions" in found and "no picture" in found


def test_dashes_in_code_separate_no_slides(tmp_path):
    item = a_deck(tmp_path, "## one\n\n```text\n---\n```", "## two")
    assert [one.number for one in deck.slides(item)] == [1, 2]


# excerpts, drawings, measurements -----------------------------------------------------------------


def test_excerpts_by_name():
    def lines(marker):
        return excerpt.cut(excerpt.parse_marker(marker))

    words = "slides/programs/words.c"
    assert lines(f"{words}:table")[0] == "struct table {" and lines(f"{words}:table")[-1] == "};"
    assert lines(f"{words}:hash")[0].endswith("hash(const char *word)")
    assert lines(f"{words}:Scan")[0] == "PL_BENCH(Scan)"
    assert lines(f"{words}:hash | for ... h = ")[0].startswith("for")
    assert all(len(line) <= excerpt.COLUMNS for line in lines(f"{words}:count_words"))


def test_long_lines_break_where_c_allows_it():
    line = '    char *a_long_name = a_function(first_argument, "a, string", second, third);'
    pieces = excerpt.broken(line)
    assert len(pieces) > 1 and all(len(piece) <= excerpt.COLUMNS for piece in pieces)
    assert "".join(" ".join(pieces).split()) == "".join(line.split())


def test_letters_too_small_for_the_back_row_are_refused():
    with pytest.raises(ValueError, match="back row"):
        svg.Drawing("test", 100).text(0, 0, "tiny", svg.LEAST - 1)


def test_a_measurement_keeps_no_path_of_this_machine():
    text = measure.without_machine(f"# {ROOT}/labs/slow.c\nvalue 1  \n\n")
    assert text == "# labs/slow.c\nvalue 1\n"


def test_perflabs_and_the_librarys_own_frames_are_folded_in():
    names = ["main", "run", "find", "realloc", "realloc", "[words+0x30]", "_int_realloc", "memcpy"]
    assert list(measure.shown(names, "run")) == ["run", "find", "realloc"]
    assert list(measure.shown(names, "nowhere")) == []


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("path", sorted((ROOT / "slides" / "programs").glob("*.c")),
                         ids=lambda path: path.name)
def test_programs_compile_and_run(path, compiler, tmp_path):
    library, program = tmp_path / "perflab.o", tmp_path / "program"
    flags = ["-O2", "-std=gnu11", "-Wall", "-Wextra", "-Werror", f"-I{ROOT}"]
    if "PL_BENCH_MAIN" not in path.read_text():     # it goes with a lab's files
        lab = re.search(r"labs/\w+", path.read_text()).group()
        includes = [f"-I{ROOT / lab}"]
        subprocess.check_call([compiler, *flags, *includes, "-c", str(path), "-o", str(program)])
        return
    subprocess.check_call([compiler, "-O2", "-DPERFLAB_IMPL", "-x", "c", "-c",
                           str(ROOT / "perflab.h"), "-o", str(library)])
    subprocess.check_call([compiler, *flags, str(path), str(library), "-o", str(program), "-ldl",
                           "-pthread"])
    done = subprocess.run([str(program), "-benchtime", "1x"], cwd=Path(tmp_path),
                          stdout=subprocess.PIPE, universal_newlines=True)
    assert done.returncode == 0 and "Benchmark" in done.stdout and "FAIL" not in done.stdout
