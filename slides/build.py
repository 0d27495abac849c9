"""Builds the decks: HTML by Marp, and PDF where Chromium is there, into build/slides.

Marp and two fonts come from npm, in the versions of slides/package-lock.json; they are installed
into build/slides/tools and nowhere else. The pages hold everything they show: fonts, pictures,
style. They open without a network.
"""
from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence

from .deck import CODE, FOLDER, PICTURE, Deck, blocks, marked_lines
from .excerpt import ROOT, SlideError

OUTPUT = ROOT / "build" / "slides"
TOOLS = OUTPUT / "tools"
PINS = ("package.json", "package-lock.json")
FONTS = (("Source Sans 3", "source-sans-3", (400, 600, 700)),
         ("Inconsolata", "inconsolata", (500, 700)))
LIMIT = 600         # seconds for one tool, on a busy machine
LINE_HEIGHT = 40    # of code, in pixels; the same stands in theme.css


def chromium() -> Optional[str]:
    """The browser that makes PDF and pictures, if there is one."""
    names = (os.environ.get("CHROME_PATH", ""), "chromium", "chromium-browser", "google-chrome",
             "google-chrome-stable")
    return next((path for path in map(shutil.which, filter(None, names)) if path), None)


# tools --------------------------------------------------------------------------------------------


def install_tools() -> None:
    """Marp and the fonts, in build/slides/tools; nothing to do when they are there."""
    stamp = TOOLS / "perflab-stamp"
    wanted = hashlib.sha256(b"".join((FOLDER / name).read_bytes() for name in PINS)).hexdigest()
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    npm = program("npm")
    TOOLS.mkdir(parents=True, exist_ok=True)
    for name in PINS:
        shutil.copy(FOLDER / name, TOOLS / name)
    run([npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"], TOOLS)
    stamp.write_text(wanted)


def program(name: str) -> str:
    """The path of npm or node."""
    path = shutil.which(name)
    if path is None:
        raise SlideError(f"the slides need {name}, which is not here; install Node.js 18 or later "
                         "with npm (Debian: apt-get install npm) and run make slides again")
    return path


def run(command: Sequence[str], folder: Path, more: Optional[Dict[str, str]] = None) -> str:
    """Runs a tool; what it prints is shown only when it fails."""
    try:
        done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LIMIT,
                              env=dict(os.environ, **(more or {})))
    except subprocess.TimeoutExpired as late:
        raise SlideError(f"{command[0]}: no end after {LIMIT} s; try again") from late
    except OSError as error:
        raise SlideError(f"{command[0]}: {error.strerror}") from error
    output = done.stdout.decode("utf-8", "replace")
    if done.returncode != 0:
        tail = "\n".join(output.strip().splitlines()[-12:])
        raise SlideError(f"'{Path(command[0]).name} {command[1]} ...' ended with "
                         f"{done.returncode}; mend what it says and try again:\n{tail}")
    return output


# what Marp reads ----------------------------------------------------------------------------------


def theme() -> str:
    """Our theme with the fonts inside."""
    faces = []
    for family, package, weights in FONTS:
        for weight in weights:
            data = (TOOLS / "node_modules" / "@fontsource" / package / "files" /
                    f"{package}-latin-{weight}-normal.woff2").read_bytes()
            faces.append(f"@font-face {{ font-family: '{family}'; font-weight: {weight}; src: url("
                         f"data:font/woff2;base64,{base64.b64encode(data).decode()}) "
                         "format('woff2'); }")
    head, mark, rest = (FOLDER / "theme.css").read_text(encoding="utf-8").partition("*/\n")
    return head + mark + "\n".join(faces) + "\n" + rest


def prepared(deck: Deck) -> str:
    """The deck for Marp: pictures inside, lines marked, code markers gone."""
    result: List[str] = []
    marked = {block.line: marked_lines(block) for block in blocks(deck.text)}
    count = 0       # code blocks of this slide so far
    for number, line in enumerate(deck.text.splitlines(), 1):
        count = 0 if line == "---" else count + (number in marked)
        if marked.get(number):
            result += [shading(count, marked[number]), ""]
        if not CODE.match(line):
            result.append(line)
    text = "\n".join(result) + "\n"
    return PICTURE.sub(lambda match: inlined(match.group(2), match.group(1)), text)


def shading(block: int, lines: Sequence[int]) -> str:
    """A style for this slide only: a coloured ground behind some lines of one of its blocks."""
    bars = ", ".join("linear-gradient(var(--mark), var(--mark))" for _ in lines)
    places = ", ".join(f"0 {line * LINE_HEIGHT}px" for line in lines)
    return (f"<style scoped>pre:nth-of-type({block}) code {{ background: {bars}; "
            f"background-position: {places}; background-size: 100% {LINE_HEIGHT}px; "
            "background-repeat: no-repeat; }</style>")


def inlined(picture: str, caption: str) -> str:
    """A picture as part of the page, so that it uses the page's fonts."""
    svg = (FOLDER / picture).read_text(encoding="utf-8").strip()
    below = f"<figcaption>{escape(caption, quote=False)}</figcaption>" if caption else ""
    return f"<figure>\n{svg}\n{below}\n</figure>"


@contextmanager
def prepared_decks(decks: Sequence[Deck]) -> Iterator[Path]:
    """A folder with what Marp reads, for a while: theme.css and decks/. Runs side by side each have
    their own."""
    install_tools()
    with tempfile.TemporaryDirectory(prefix="work-", dir=OUTPUT) as name:
        folder = Path(name)
        (folder / "decks").mkdir()
        (folder / "theme.css").write_text(theme(), encoding="utf-8")
        for deck in decks:
            (folder / "decks" / f"{deck.name}.md").write_text(prepared(deck), encoding="utf-8")
        yield folder


def marp(folder: Path, target: Path, *options: str) -> None:
    """Turns the prepared decks into pages, documents or pictures."""
    script = TOOLS / "node_modules" / "@marp-team" / "marp-cli" / "marp-cli.js"
    browser = chromium()
    where = ["--browser-path", browser] if browser else []
    # Marp looks for other people's settings in the folders above: --no-config stops that.
    run([program("node"), str(script), "--no-config", "--html", "--parallel", "2",
         "--theme-set", "theme.css", *where, *options, "-I", "decks", "-o", str(target)], folder,
        {"CHROME_NO_SANDBOX": "1"} if os.geteuid() == 0 else None)


def build(decks: Sequence[Deck], html_only: bool = False) -> List[Path]:
    """All files of the decks; the paths."""
    with prepared_decks(decks) as folder:
        marp(folder, OUTPUT)
        made = [OUTPUT / f"{deck.name}.html" for deck in decks]
        if chromium() and not html_only:
            marp(folder, OUTPUT, "--pdf", "--pdf-outlines")
            made += [OUTPUT / f"{deck.name}.pdf" for deck in decks]
    return [*made, write_index()]


def write_index() -> Path:
    """A page with a link to each deck that has been built."""
    rows = []
    for path in sorted(OUTPUT.glob("*.html"), key=lambda one: (one.stem != "opening", one.stem)):
        if path.stem != "index":
            found = re.search(r"<title>(.*?)</title>", path.read_text(encoding="utf-8"))
            pdf = path.with_suffix(".pdf")
            link = f' &middot; <a href="{pdf.name}">PDF</a>' if pdf.exists() else ""
            rows.append(f'<li><a href="{path.name}">{found.group(1) if found else path.stem}</a>'
                        f"{link}</li>")
    page = OUTPUT / "index.html"
    page.write_text("<!doctype html><meta charset=utf-8><title>perflab: slides</title>"
                    "<style>body{font:20px/1.6 sans-serif;margin:3em}</style>"
                    f"<h1>perflab: slides</h1><ul>{''.join(rows)}</ul>\n", encoding="utf-8")
    return page
