"""``lossgraph show --html``: a page of a loss that asks for nothing else."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

import command_line
from html_outline import Outline
from lossgraph.catalogue import lookup
from lossgraph.ir.pages import code
from lossgraph.view.webpage import page

pytestmark = pytest.mark.once

for needed in ("fast_sugiyama", "jinja2", "latex2mathml"):
    pytest.importorskip(needed, reason="pages need lossgraph[html]")

LOSSES = ["huber", "softmax_ce", "nn.LinearCrossEntropyLoss", "losses.dpo", "optax.ctc_loss",
          "optax.huber_loss", "nn.AdaptiveLogSoftmaxWithLoss"]  # fmt: skip


def call(*args: object) -> Result:
    return command_line.call("show", *args)


def written(tmp_path: Path, *args: object) -> str:
    path = tmp_path / "page.html"
    result = call(*args, "--html", "-o", path)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{path}\n"
    return path.read_text()


@pytest.mark.parametrize("name", LOSSES)
def test_a_page_is_whole_and_asks_for_nothing(name: str, tmp_path: Path) -> None:
    text = written(tmp_path, name)
    outline = Outline(text)
    assert outline.headings[0] == lookup(name).name
    sections = ["Formula", "Inputs", "Outputs", "Curves", "Graphs", "Value", "Value and gradient",
                "Expression"]  # fmt: skip
    assert [heading for heading in outline.headings if heading in sections] == sections
    assert all(target.startswith("#") for target in outline.asked)
    assert not re.search(r"@import|url\((?!#)|<script|<link", text)
    assert len(outline.ids) == len(set(outline.ids))
    assert text.count('class="onnx-graph"') == 2
    assert text.count("<math ") == 1


def test_a_page_says_what_show_says(tmp_path: Path) -> None:
    text = written(tmp_path, "huber", "--set", "rho=0.25", "--opset", 20)
    rows = Outline(text).tables
    assert ["pred", "float32[N,C]", "real numbers"] in rows
    assert ["loss", "float32[N]"] in rows
    assert ["grad_pred", "float32[N,C]"] in rows
    assert ["rho", "0.25", "1"] in rows
    assert "Huber (1964), Ann. Math. Statist. 35(1)" in text
    assert "<code>nn.SmoothL1Loss</code>" in text
    assert "<code>mxnet.gluon.loss.HuberLoss</code>" in text
    assert "Squared for errors up to <code>rho</code>" in text
    assert "min = -0.25" in text  # in the picture
    assert "opset_import: [&#34;&#34; : 20]" in text
    assert "at the label 0" in text


def test_types_and_gradients_are_those_asked_for(tmp_path: Path) -> None:
    types = ("--input", "pred:float64:8,3", "--input", "label:float64:8,3")
    rows = Outline(written(tmp_path, "huber", *types, "--grad", "label")).tables
    assert ["pred", "float64[8,3]", "real numbers"] in rows
    assert ["grad_label", "float64[8,3]"] in rows
    assert not any(row[0] == "grad_pred" for row in rows)


def test_the_page_and_json_can_be_had_at_once(tmp_path: Path) -> None:
    result = call("huber", "--html", "-o", tmp_path / "a.html", "--json")
    assert json.loads(result.stdout)["name"] == "gluon.HuberLoss"
    assert (tmp_path / "a.html").is_file()


def test_without_a_file_the_page_is_printed(tmp_path: Path) -> None:
    assert call("huber", "--html").stdout == f"{written(tmp_path, 'huber')}\n"


@pytest.mark.parametrize("args", [("-o", "a.html"), ("--html", "--json")])
def test_what_would_be_lost_or_mixed_is_refused(args: tuple[str, ...]) -> None:
    result = call("huber", *args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "-o FILE" in result.stderr


def test_options_for_which_nothing_usual_can_be_drawn(tmp_path: Path) -> None:
    types = ("--input", "pred:float32:C,N", "--input", "label:int64:N")
    text = written(tmp_path, "softmax_ce", "--set", "axis=0", *types)
    assert "Curves" not in Outline(text).headings
    assert "float32[C,N]" in text


def test_text_is_escaped() -> None:
    """A name, an option and a summary that are markup stay text."""
    entry = lookup("huber")

    class Hostile:
        def __getattr__(self, name: str) -> Any:
            return getattr(entry, name)

        name = "<b>&"
        summary = "a <i> ``<u>`` & more"
        paper = "</main><script>alert(1)</script>"
        aliases = ('"x',)
        formula = "a < b"

    types = dict.fromkeys(("pred", "label"), ("float32", ("N", "C")))
    text = page(Hostile(), entry.make(), types)  # type: ignore[arg-type]
    Outline(text)
    assert "<title>&lt;b&gt;&amp;</title>" in text
    assert "a &lt;i&gt; <code>&lt;u&gt;</code> &amp; more" in text
    assert "<script" not in text
    assert "alert(1)" in text


def test_code_between_backquotes() -> None:
    assert str(code("``a`` < ``b``")) == "<code>a</code> &lt; <code>b</code>"
    assert str(code("plain & ``")) == "plain &amp; ``"


def test_the_same_page_in_every_run(tmp_path: Path) -> None:
    assert written(tmp_path, "softmax_ce") == written(tmp_path, "softmax_ce")


@pytest.mark.parametrize("library", ["jinja2", "latex2mathml.converter", "fast_sugiyama"])
def test_without_a_library_the_extra_is_named(
    library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    result = call("huber", "--html", "-o", tmp_path / "a.html")
    assert result.exit_code == 2
    assert "pip install 'lossgraph[html]'" in result.stderr
    assert list(tmp_path.iterdir()) == []


# --- in a browser ---


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 360)])
def test_a_browser_shows_it(browser: Any, scheme: str, width: int, tmp_path: Path) -> None:
    written(tmp_path, "softmax_ce", "--set", "sparse_label=False")
    shown = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    said: list[str] = []
    asked: list[str] = []
    shown.on("console", lambda message: said.append(message.text))
    shown.on("request", lambda request: asked.append(request.url))
    shown.goto((tmp_path / "page.html").as_uri())
    assert (said, len(asked)) == ([], 1)
    # nothing makes the page wider than the screen
    assert shown.evaluate("document.documentElement.scrollWidth") <= width
    # text and ground are apart, in pictures too
    colors = "e => [getComputedStyle(e).color, getComputedStyle(e).fill]"
    text = shown.eval_on_selector("body", "e => getComputedStyle(e).color")
    assert text == {"light": "rgb(0, 0, 0)", "dark": "rgb(255, 255, 255)"}[scheme]
    assert shown.eval_on_selector(".onnx-graph text", colors)[1] == text
    # every text lies in its box
    outside = shown.evaluate("""() => [...document.querySelectorAll('.onnx-graph g:has(> rect)')]
        .filter(g => { const box = g.querySelector('rect').getBBox();
            return [...g.querySelectorAll('text')].some(t => { const b = t.getBBox();
                return b.x < box.x || b.x + b.width > box.x + box.width
                    || b.y < box.y - 1 || b.y + b.height > box.y + box.height + 1; }); })
        .map(g => g.textContent)""")
    assert outside == []
    # fractions and sums are set as such
    assert shown.eval_on_selector("math", "e => e.getBoundingClientRect().height") > 20
    # what is folded unfolds from the keyboard
    shown.locator("summary").first.focus()
    shown.keyboard.press("Enter")
    assert shown.locator("details").first.evaluate("e => e.open")
    shown.close()
