"""A real Chromium, driven by its debugging pipe: NUL-ended JSON on descriptors 3 and 4."""
from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List, Optional

PATIENCE = 120      # seconds for an answer, on a busy machine
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
KEY_CODES = {"Enter": 13, "Escape": 27, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39,
             "ArrowDown": 40}
SHIFT = 8


def chromium() -> Optional[str]:
    """The browser, if there is one."""
    named = (os.environ.get("CHROME_PATH", ""), *NAMES)
    return next((path for path in map(shutil.which, filter(None, named)) if path), None)


class Browser:
    """One browser with one page. Use it in a with statement."""

    def __init__(self, width: int = 1280, height: int = 800, *flags: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="perflab-")
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()
        command = [str(chromium()), "--headless", "--remote-debugging-pipe", "--disable-gpu",
                   "--no-first-run", "--disable-extensions", "--log-level=3", "--hide-scrollbars",
                   f"--user-data-dir={self._folder.name}", f"--window-size={width},{height}",
                   *flags]
        if os.geteuid() == 0:
            command.append("--no-sandbox")

        def place() -> None:
            """In the child: the pipes become descriptors 3 and 4."""
            high = [fcntl.fcntl(one, fcntl.F_DUPFD, 10) for one in (to_read, to_write)]
            for target, one in zip((3, 4), high):
                os.dup2(one, target)

        self._process = subprocess.Popen(
            command, preexec_fn=place, pass_fds=(3, 4), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_read)
        os.close(to_write)
        self._held, self._last, self._session = b"", 0, ""
        self.faults: List[str] = []     # what the page's scripts threw or logged as an error
        self._attach(width, height)

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._read)
        os.close(self._write)
        shutil.rmtree(self._folder.name, ignore_errors=True)

    def _attach(self, width: int, height: int) -> None:
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target,
                                  flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")
        self.resize(width, height)

    def resize(self, width: int, height: int, ratio: float = 1) -> None:
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=ratio, mobile=False)

    def theme(self, name: str) -> None:
        """What the system prefers: light or dark."""
        self.send("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": name}])

    # the pipe -------------------------------------------------------------------------------------

    def send(self, method: str, **parameters: Any) -> Dict[str, Any]:
        """A command, and its answer."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._write, data):]
        while True:
            answer = self._next()
            if answer.get("id") == self._last:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                result: Dict[str, Any] = answer["result"]
                return result

    def _next(self) -> Dict[str, Any]:
        while b"\0" not in self._held:
            if not select.select([self._read], [], [], PATIENCE)[0]:
                raise RuntimeError("the browser does not answer")
            data = os.read(self._read, 1 << 20)
            if not data:
                raise RuntimeError("the browser has ended")
            self._held += data
        line, _, self._held = self._held.partition(b"\0")
        message: Dict[str, Any] = json.loads(line)
        self._note(message)
        return message

    def _note(self, message: Dict[str, Any]) -> None:
        given = message.get("params", {})
        if message.get("method") == "Runtime.exceptionThrown":
            self.faults.append(str(given["exceptionDetails"]))
        elif message.get("method") == "Log.entryAdded" and given["entry"]["level"] == "error":
            self.faults.append(given["entry"]["text"])
        elif message.get("method") == "Network.requestWillBeSent" and \
                not given["request"]["url"].startswith(("file:", "data:", "blob:")):
            self.faults.append(f"asked for {given['request']['url']}")

    # the page -------------------------------------------------------------------------------------

    def open(self, page: Path, fragment: str = "") -> None:
        """Opens a file and waits until the timeline is drawn."""
        self.send("Page.navigate", url="about:blank")
        self.send("Page.navigate", url=page.as_uri() + fragment)
        self.wait("document.getElementById('panel') && "
                  "document.getElementById('panel').textContent !== ''")
        self.settle()

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        answer = self.send("Runtime.evaluate", expression=script, returnByValue=True,
                           awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"]["exception"]["description"])
        return answer["result"].get("value")

    def wait(self, script: str) -> None:
        """Until the expression is true."""
        end = time.monotonic() + PATIENCE
        while not self.run(script):
            if time.monotonic() > end:
                raise RuntimeError(f"this never became true: {script}; faults: {self.faults}")
            time.sleep(0.02)

    def settle(self) -> None:
        """Until what was done is drawn."""
        self.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def text(self, selector: str) -> str:
        return str(self.run(f"document.querySelector({json.dumps(selector)}).innerText"))

    def picture(self, target: Path) -> None:
        """A PNG of the page."""
        data = self.send("Page.captureScreenshot", format="png")["data"]
        target.write_bytes(base64.b64decode(data))

    # hands ----------------------------------------------------------------------------------------

    def box(self, selector: str) -> Dict[str, float]:
        found: Dict[str, float] = self.run(
            f"document.querySelector({json.dumps(selector)}).getBoundingClientRect().toJSON()")
        return found

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def click(self, x: float, y: float) -> None:
        self.mouse("mouseMoved", x, y)
        self.mouse("mousePressed", x, y, button="left", buttons=1, clickCount=1)
        self.mouse("mouseReleased", x, y, button="left", clickCount=1)
        self.settle()

    def press(self, selector: str) -> None:
        """Clicks the middle of an element."""
        box = self.box(selector)
        self.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)

    def drag(self, start: "tuple[float, float]", end: "tuple[float, float]", shift: bool = False,
             steps: int = 8) -> None:
        modifiers = SHIFT if shift else 0
        self.mouse("mouseMoved", *start)
        self.mouse("mousePressed", *start, button="left", buttons=1, clickCount=1,
                   modifiers=modifiers)
        for step in range(1, steps + 1):
            share = step / steps
            self.mouse("mouseMoved", start[0] + share * (end[0] - start[0]),
                       start[1] + share * (end[1] - start[1]), button="left", buttons=1,
                       modifiers=modifiers)
        self.mouse("mouseReleased", *end, button="left", clickCount=1, modifiers=modifiers)
        self.settle()

    def wheel(self, x: float, y: float, down: float, shift: bool = False) -> None:
        self.mouse("mouseWheel", x, y, deltaX=0, deltaY=down, modifiers=SHIFT if shift else 0)
        self.settle()

    def key(self, key: str, shift: bool = False) -> None:
        """A key as a person presses it; letters arrive as text too."""
        plain = len(key) == 1
        code = KEY_CODES.get(key) or ord(key.upper())
        same = {"key": key, "windowsVirtualKeyCode": code, "modifiers": SHIFT if shift else 0}
        letter = {"text": key} if plain else {}
        self.send("Input.dispatchKeyEvent", type="keyDown", **same, **letter)
        self.send("Input.dispatchKeyEvent", type="keyUp", **same)
        self.settle()

    def type(self, text: str) -> None:
        self.send("Input.insertText", text=text)
