"""A web server for pages that browsers are to show."""

from __future__ import annotations

import functools
import http.server
import threading
from contextlib import contextmanager


@contextmanager
def served(folder):
    """The address of a web server that has a folder."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = functools.partial(Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
