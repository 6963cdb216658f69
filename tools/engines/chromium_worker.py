"""Runs jobs in ONNX Runtime's WebAssembly in a browser: PACKAGE FOLDER

PACKAGE is the folder of onnxruntime-web. A server on this machine's loopback gives the page to a
Chromium without a window, and takes from the page what came out.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from playwright.sync_api import Error

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent))

from browser import chromium  # noqa: E402
from exchange import protocol  # noqa: E402

_TYPES = {
    ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".mjs": "text/javascript",
    ".wasm": "application/wasm",
}  # fmt: skip


def main() -> None:
    package, folder = map(Path, sys.argv[1:])
    answers = protocol.private_stdout()
    protocol.end_with_parent()
    version = json.loads((package / "package.json").read_text())["version"]
    with chromium() as browser, _served(package / "dist", folder) as address:
        page = browser.new_page()
        page.goto(f"{address}/chromium.html")

        def answer(job: dict[str, Any]) -> dict[str, Any]:
            try:
                return dict(page.evaluate("job => run(job)", job))
            except Error as error:  # the page's memory is spoilt, or the page is gone
                sys.exit(error.message.partition("\n")[0])

        major = browser.version.partition(".")[0]
        protocol.say({"version": f"{major}, onnxruntime-web {version}"}, answers)
        protocol.serve(answer, answers)


class _Handler(BaseHTTPRequestHandler):
    """Gives the page, the engine and the jobs, and takes the results."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # which would wait 40 ms for more to send

    def __init__(self, package: Path, folder: Path, *arguments: object) -> None:
        self._package, self._folder = package, folder
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        path = self._asked()
        if not path.is_file():
            self.send_error(404)
            return
        content = path.read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", _TYPES.get(path.suffix, "application/octet-stream"))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        (self._folder / self._asked().name).write_bytes(content)
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing: what is asked for is no news."""

    def _asked(self) -> Path:
        """The file of a request: of the jobs, of the engine, or of the page."""
        url = urlsplit(self.path)
        if url.path == "/files":
            return self._folder / unquote(url.query)  # an absolute one stays as it is
        folder = self._package if url.path.startswith("/ort/") else HERE
        return folder / Path(url.path).name


@contextmanager
def _served(package: Path, folder: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, package, folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


if __name__ == "__main__":
    main()
