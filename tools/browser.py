"""The Chromium of this machine without a window, driven by Playwright, for tools and tests.

Playwright's own browsers are not fetched: Debian's ``chromium``, or what CHROMIUM names, is enough.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")

# Nothing of the browser's own asks the network for anything: neither its first run nor its
# updates. Without a sandbox, for root cannot have one, and the pages are our own.
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


class MissingBrowserError(Exception):
    """There is no Chromium, or no Playwright."""


def find_chromium() -> str:
    """The path of the program.

    Raises:
        MissingBrowserError: if there is none.
    """
    found = next((path for name in _names() if (path := shutil.which(name))), None)
    if found is None:
        raise MissingBrowserError(
            "no Chromium here: install it (on Debian: apt-get install chromium), or set CHROMIUM"
        )
    return found


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser, which ends with the context.

    Raises:
        MissingBrowserError: if there is none, or nothing to drive it.
    """
    program = find_chromium()
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise MissingBrowserError("no playwright here: pip install playwright") from error
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


def _names() -> tuple[str, ...]:
    named = os.environ.get("CHROMIUM")
    return (named,) if named else NAMES
