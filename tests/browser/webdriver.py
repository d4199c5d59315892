# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A headless browser, spoken to as the W3C WebDriver standard says: no package between, a handful of commands."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

# The browser asks for nothing outside: what it does on its own behalf is turned off.
ARGUMENTS = (
    "--headless",
    # Chromium's own sandbox cannot be used by root; the page is ours.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
# The key of an element in an answer (W3C WebDriver, "Elements").
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class Browser:
    """One session of Chromium under its driver."""

    def __init__(self, dark: bool = False) -> None:
        """Start the driver on a free port of loopback, and a browser with an empty profile."""
        self._folder = tempfile.TemporaryDirectory()
        self._driver = subprocess.Popen(
            ["chromedriver", "--port=0", "--allowed-ips=127.0.0.1"], stdout=subprocess.PIPE, text=True
        )
        port = None
        for line in self._driver.stdout or ():
            found = re.search(r"started successfully on port (\d+)", line)
            if found:
                port = found[1]
                break
        assert port, "chromedriver did not start"
        self._url = f"http://127.0.0.1:{port}"
        arguments = [*ARGUMENTS, f"--user-data-dir={self._folder.name}"]
        if dark:
            arguments.append("--blink-settings=preferredColorScheme=0")
        wanted = {
            "goog:chromeOptions": {"args": arguments, "binary": "/usr/bin/chromium"},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        answer = self._send("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._url += f"/session/{answer['sessionId']}"

    def _send(self, method: str, path: str, body: Any = None) -> Any:
        data = None if method in ("GET", "DELETE") else json.dumps(body or {}).encode()
        request = urllib.request.Request(self._url + path, data=data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(json.load(error)["value"]["message"]) from error

    def open(self, path: Path) -> None:
        """Open a file."""
        self._send("POST", "/url", {"url": path.as_uri()})

    def size(self, width: int, height: int) -> None:
        """Set the size of the page, also narrower than a window can be."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.devtools("Emulation.setDeviceMetricsOverride", metrics)

    def devtools(self, command: str, parameters: dict[str, Any]) -> Any:
        """Send a command of Chromium's own protocol."""
        return self._send("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script in the page and return what it returns."""
        return self._send("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def find(self, selector: str) -> str:
        """Return one element."""
        return self._send("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT]

    def click(self, selector: str) -> None:
        """Click an element as a person would, who scrolls it out from under the bar first."""
        self.run("document.querySelector(arguments[0]).scrollIntoView({block: 'center'})", selector)
        self._send("POST", f"/element/{self.find(selector)}/click")

    def type(self, selector: str, text: str) -> None:
        """Type into an element."""
        self._send("POST", f"/element/{self.find(selector)}/value", {"text": text})

    def keys(self, text: str) -> None:
        """Press keys, wherever the focus is."""
        actions = [{"type": kind, "value": letter} for letter in text for kind in ("keyDown", "keyUp")]
        self._send("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def screenshot(self, path: Path, whole: bool = False) -> Path:
        """Write what is shown, or the whole page, as a PNG."""
        taken = self.devtools("Page.captureScreenshot", {"format": "png", "captureBeyondViewport": whole})
        path.write_bytes(base64.b64decode(taken["data"]))
        return path

    def complaints(self) -> list[str]:
        """Return what the browser's console says: errors of scripts, and what the page's policy refused."""
        return [entry["message"] for entry in self._send("POST", "/se/log", {"type": "browser"})]

    def fetched(self) -> list[str]:
        """Return the addresses of everything that the page asked for."""
        entries = self._send("POST", "/se/log", {"type": "performance"})
        messages = [json.loads(entry["message"])["message"] for entry in entries]
        return [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]

    def close(self) -> None:
        """End the browser and its driver."""
        try:
            self._send("DELETE", "")
        finally:
            self._driver.terminate()
            self._driver.wait(20)
            if self._driver.stdout:
                self._driver.stdout.close()
            self._folder.cleanup()
