"""The decks from the command line.

    python3 -m slides build [DECK...]          HTML, and PDF where Chromium is, into build/slides
    python3 -m slides fill [DECK...]           puts the code of the files into the decks
    python3 -m slides measure DECK [NAME...]   takes the deck's measurements on this machine
    python3 -m slides draw [DECK...]           draws the pictures from the measurements
    python3 -m slides check [DECK...]          code, notes, pictures; with Chromium the space, too
    python3 -m slides look [DECK...]           a PNG of every slide, in build/slides/png
"""
from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional, Sequence

from graders.model import GraderError

from . import build, deck, look, measure, pictures
from .excerpt import ROOT, SlideError
from .plan import sections

CODE, TEXT, PICTURE = 32, 28, 24    # the smallest letters in pixels: 24, 21 and 18 points


def command_build(options: argparse.Namespace) -> int:
    """HTML and PDF."""
    made = build.build(deck.chosen(options.names), options.html)
    if not options.html and build.chromium() is None:
        print("no PDF: Chromium is not here (Debian: apt-get install chromium)")
    print(f"{len(made)} files; open {made[-1].relative_to(ROOT)}")
    return 0


def command_fill(options: argparse.Namespace) -> int:
    """Code into decks."""
    for item in deck.chosen(options.names):
        text = deck.filled(item.text)
        if text != item.text:
            item.path.write_text(text, encoding="utf-8")
            print(f"filled slides/{item.path.name}")
    return 0


def command_measure(options: argparse.Namespace) -> int:
    """Measurements of one deck."""
    names = options.names
    found = [section for item in deck.chosen(names[:1])
             for section in sections(item.path, "measure")
             if len(names) < 2 or section.name in names[1:]]
    if not found:
        raise SlideError(f"slides: there is no measurement {' '.join(names)}; they are the "
                         "sections [measure.NAME] of the INI file beside the deck")
    for section in found:
        print(f"recorded {measure.take(section).relative_to(ROOT)}", flush=True)
    return 0


def command_draw(options: argparse.Namespace) -> int:
    """Pictures of the decks."""
    pictures.TARGET.mkdir(exist_ok=True)
    for item in deck.chosen(options.names):
        for section in sections(item.path, "picture"):
            target = pictures.target(section)
            target.write_text(pictures.draw(section), encoding="utf-8")
            print(f"drew {target.relative_to(ROOT)}")
    return 0


def command_check(options: argparse.Namespace) -> int:
    """Everything that a script can see."""
    decks = deck.chosen(options.names)
    found = [fault for item in decks for fault in deck.faults(item)]
    found += [fault for item in decks for fault in stale(item.path)]
    if build.chromium() and not options.html:
        for name, seen in look.measure(decks).items():
            found += [f"slides/{name}.md: {fault}" for slide in seen
                      for fault in seen_faults(slide)]
    for fault in found:
        print(fault)
    print(f"{len(decks)} decks, {len(found)} faults")
    return 1 if found else 0


def stale(path: Path) -> Iterator[str]:
    """Pictures that differ from what their measurements give."""
    for section in sections(path, "picture"):
        target = pictures.target(section)
        if not target.is_file() or target.read_text(encoding="utf-8") != pictures.draw(section):
            yield (f"slides/pictures/{target.name} is not what its measurement gives; "
                   f"run python3 -m slides draw {path.stem}")


def seen_faults(slide: look.Seen) -> List[str]:
    """What the browser saw wrong on one slide."""
    small = [f"{kind} of {slide.letters[kind]:.1f} px; the back row needs {least}"
             for kind, least in (("code", CODE), ("text", TEXT), ("picture", PICTURE))
             if slide.letters[kind] < least - 0.5]
    return [f"slide {slide.number}: {fault}" for fault in [*slide.faults, *small]]


def command_look(options: argparse.Namespace) -> int:
    """PNGs."""
    for path in look.photograph(deck.chosen(options.names)):
        print(path.relative_to(ROOT))
    return 0


COMMANDS: Dict[str, Callable[[argparse.Namespace], int]] = {
    "build": command_build, "fill": command_fill, "measure": command_measure,
    "draw": command_draw, "check": command_check, "look": command_look}
HELPERS: Dict[str, Callable[[Sequence[str]], int]] = {
    "stacks": measure.print_stacks, "program": measure.program,
    "layout": measure.print_layout, "lab": measure.run_lab}


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """The command line; what the deck's INI files call stands apart, with its own arguments."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="python3 -m slides", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=sorted(COMMANDS))
    parser.add_argument("names", nargs="*", metavar="DECK")
    parser.add_argument("--html", action="store_true", help="without a browser: no PDF")
    try:
        if words and words[0] in HELPERS:
            return HELPERS[words[0]](words[1:])
        options = parser.parse_args(words)
        return COMMANDS[options.command](options)
    except (SlideError, GraderError) as error:
        print(f"slides: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
