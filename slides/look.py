"""Looks at built decks as a reader does: a browser measures every slide, and takes its picture."""
from __future__ import annotations

import html
import json
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Sequence

from . import build
from .deck import Deck
from .excerpt import SlideError

# Runs in the page. A slide is a section of 1280 x 720 pixels; its letters are measured as they are
# drawn, those in pictures with the picture's scale.
PROBE = """
const report = [...document.querySelectorAll('section')].map(section => {
  const outer = section.getBoundingClientRect(), scale = outer.width / section.offsetWidth;
  const style = getComputedStyle(section), found = [];
  const floor = outer.bottom - parseFloat(style.paddingBottom) * scale + 1;
  const wall = outer.right - parseFloat(style.paddingRight) * scale + 1;
  const letters = {code: 999, text: 999, picture: 999};
  const least = (kind, size) => { letters[kind] = Math.min(letters[kind], size); };
  for (const item of section.querySelectorAll('*')) {
    if (item.closest('footer, header, style, title')) continue;
    const box = item.getBoundingClientRect(), words = item.textContent.trim().slice(0, 40);
    if (!box.width || !box.height) continue;
    if (box.bottom > floor || box.right > wall || box.left < outer.left || box.top < outer.top)
      found.push(item.tagName + ' "' + words + '" leaves the slide');
    const size = parseFloat(getComputedStyle(item).fontSize);
    if (item.tagName === 'text') {
      const svg = item.ownerSVGElement, view = svg.viewBox.baseVal.width;
      const frame = svg.getBoundingClientRect();
      least('picture', size * frame.width / view / scale);
      if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1 ||
          box.bottom > frame.bottom + 1)
        found.push('"' + words + '" leaves its picture');
    } else if (item.tagName === 'PRE') {
      least('code', parseFloat(getComputedStyle(item.querySelector('code')).fontSize));
      if (item.scrollHeight > item.clientHeight) found.push('code higher than its box: ' + words);
      if (item.scrollWidth > item.clientWidth) found.push('code wider than the slide: ' + words);
    } else if (['P', 'LI', 'TD', 'TH', 'H1', 'H2', 'FIGCAPTION'].includes(item.tagName) && words)
      least('text', size);
  }
  if (section.scrollHeight > section.clientHeight)
    found.push('the text is ' + (section.scrollHeight - section.clientHeight) + ' px too high');
  return {faults: [...new Set(found)], letters, fonts: document.fonts.status};
});
const out = document.createElement('pre');
out.id = 'perflab-report';
out.textContent = JSON.stringify(report);
document.body.append(out);
"""


@dataclass(frozen=True)
class Seen:
    """What the browser says of one slide."""
    number: int
    faults: List[str]
    letters: Dict[str, float]   # the smallest letters in code, text and pictures, in pixels


def measure(decks: Sequence[Deck]) -> Dict[str, List[Seen]]:
    """Every slide of the decks, measured in Chromium."""
    if build.chromium() is None:
        raise SlideError("Chromium is not here; install it (Debian: apt-get install chromium)")
    with build.prepared_decks(decks) as folder:
        pages = folder / "pages"
        build.marp(folder, pages, "--template", "bare")
        return {deck.name: measured(pages / f"{deck.name}.html") for deck in decks}


def measured(page: Path) -> List[Seen]:
    """The slides of one page."""
    text = page.read_text(encoding="utf-8")
    script = f"<script>document.fonts.ready.then(() => {{ {PROBE} }});</script>"
    page.write_text(text.replace("</body>", script + "</body>"), encoding="utf-8")
    found = re.search(r'<pre id="perflab-report">(.*?)</pre>', browse(page), re.DOTALL)
    if found is None:
        raise SlideError(f"{page.name}: Chromium gave no report of its slides")
    report: List[Dict[str, Any]] = json.loads(html.unescape(found.group(1)))
    return [Seen(number, item["faults"], item["letters"]) for number, item in enumerate(report, 1)]


def browse(page: Path) -> str:
    """The page as the browser has it after its scripts have run."""
    with tempfile.TemporaryDirectory(prefix="perflab-") as folder:
        command = [str(build.chromium()), "--headless", "--disable-gpu", "--dump-dom",
                   "--window-size=1280,720", "--virtual-time-budget=5000", "--log-level=3",
                   "--hide-scrollbars", f"--user-data-dir={folder}"]
        if os.geteuid() == 0:
            command.append("--no-sandbox")
        return build.run([*command, page.as_uri()], Path(folder))


def photograph(decks: Sequence[Deck]) -> List[Path]:
    """A PNG of every slide, in build/slides/png."""
    target = build.OUTPUT / "png"
    with build.prepared_decks(decks) as folder:
        build.marp(folder, target, "--images", "png")
    return sorted(path for deck in decks for path in target.glob(f"{deck.name}.*.png"))
