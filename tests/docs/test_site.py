"""The built site, as a browser shows it: nothing asked of the network, nothing broken or too wide.

``tools/docs`` builds it; where it was not built there is nothing to test.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin

import pytest

from support import ROOT

SITE = ROOT / "docs" / "_build" / "html"
PHONE = {"width": 375, "height": 800}
PAGES = sorted(
    path.relative_to(SITE).as_posix()
    for path in SITE.rglob("*.html")
    if not path.is_relative_to(SITE / "_static")  # templates of the theme
)

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(not PAGES, reason="no site is built here: tools/docs builds it"),
]


@pytest.fixture(scope="module")
def anchors():
    """The ids of every page, by its address."""
    found = {}
    for page in PAGES:
        text = (SITE / page).read_text(encoding="utf-8")
        found[(SITE / page).as_uri()] = set(re.findall(r'\sid="([^"]+)"', text))
    return found


@pytest.mark.parametrize("page", PAGES or ["index.html"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_page_opens_without_complaint_and_fits_a_phone(browser, page, theme):
    context = browser.new_context(viewport=PHONE, color_scheme=theme)
    tab = context.new_page()
    said, asked = [], []
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("console", lambda m: said.append(m.text) if m.type in ("error", "warning") else None)
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto((SITE / page).as_uri())
    assert tab.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert said == []
    if page not in ("search.html", "genindex.html"):
        assert tab.evaluate("document.documentElement.dataset.theme") == theme
    context.close()


@pytest.mark.parametrize("page", PAGES or ["index.html"])
def test_all_links_inside_lead_somewhere(anchors, page):
    address = (SITE / page).as_uri()
    text = (SITE / page).read_text(encoding="utf-8")
    broken = []
    for href in re.findall(r'<a\s[^>]*?href="([^"]+)"', text):
        target, fragment = urldefrag(urljoin(address, href.replace("&amp;", "&")))
        if not target.startswith("file:") or href == "#":
            continue
        if target in anchors:
            here = not fragment or unquote(fragment) in anchors[target]
        else:
            here = Path(unquote(target.removeprefix("file://"))).exists()
        if not here:
            broken.append(href)
    assert broken == []


def test_the_gallery_has_a_card_for_every_loss():
    from lossgraph.catalogue import entries

    text = (SITE / "reference" / "gallery.html").read_text(encoding="utf-8")
    assert len(re.findall(r'<a class="loss"', text)) == len(entries())
    assert len(re.findall(r'<path class="value" d="M', text)) > 100
