"""How losses show themselves: a line of text, and a card in notebooks."""

from __future__ import annotations

from html.parser import HTMLParser

import numpy as np
import pytest

import lossgraph as lg
from lossgraph import gluon, losses, nn, optax
from lossgraph.authoring.functions import FunctionLoss
from lossgraph.catalogue import entries
from lossgraph.ir import html

ALLOWED = {"div", "b", "code", "table", "tr", "th", "td"}


class Reader(HTMLParser):
    """Checks that tags are closed, few and without anything that loads or runs."""

    def __init__(self):
        super().__init__()
        self.open, self.words = [], []

    def handle_starttag(self, tag, attrs):
        assert tag in ALLOWED
        assert {name for name, _ in attrs} <= {"style"}
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def read(source):
    reader = Reader()
    reader.feed(source)
    reader.close()
    assert reader.open == []
    return "\n".join(reader.words)


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_every_loss_has_a_line_and_a_card(entry) -> None:
    loss = entry.make()
    assert repr(loss).startswith(f"{entry.own_name}(")
    card = loss._repr_html_()
    words = read(card)
    assert len(card) < 6000
    assert entry.formula in words
    for name in (*loss.options, *entry.inputs):
        assert name in words, name


@pytest.mark.parametrize(
    ("loss", "line"),
    [
        (gluon.HuberLoss(2.0), "HuberLoss(rho=2.0, weight=None, batch_axis=0)"),
        (nn.MSELoss(), "MSELoss(reduction='mean')"),
        (nn.BCELoss(np.ones((2, 3), "float32")), "BCELoss(weight=float32[2, 3], reduction='mean')"),
        (optax.huber_loss, "huber_loss(delta=1.0)"),
        (losses.z_loss, "z_loss()"),
        (FunctionLoss(lambda F, x: x), "<lambda>()"),
    ],
)
def test_a_line_lists_the_options_in_the_order_of_the_constructor(loss, line) -> None:
    assert repr(loss) == line


def test_a_card_says_what_inputs_are() -> None:
    words = read(nn.CTCLoss()._repr_html_())
    assert "array or number without gradient: labels or lengths" in words
    assert "optional" in read(gluon.L2Loss()._repr_html_())
    assert "a number in the place of" in read(gluon.HuberLoss(lg.Input("rho"))._repr_html_())
    adaptive = nn.AdaptiveLogSoftmaxWithLoss(8, 10, [4])
    assert "array of shape (5, 8)" in read(adaptive._repr_html_())


def test_whatever_is_in_a_card_is_escaped() -> None:
    evil = "<script>alert(1)</script>"

    class Own(gluon.Loss):
        def __init__(self):
            super().__init__(None, 0)
            self.kind = evil

        def hybrid_forward(self, F, pred, *inputs):
            return pred

    Own.__name__, Own.__doc__ = evil, f"{evil} ``{evil}``\n\n.. math:: {evil}\n"
    card = Own()._repr_html_()
    assert "<script" not in card
    assert read(card).count(evil) >= 4


def test_pieces_are_escaped_once() -> None:
    assert html.table(("<a>",), []) == ""
    assert html.text(html.code("a<b")) == "<code>a&lt;b</code>"
    assert read(html.card("t", html.table(("a",), [("<b>",), (html.code("x"),)]))).split() == [
        "t", "a", "<b>", "x",
    ]  # fmt: skip
