"""Formulas in TeX as MathML."""

from __future__ import annotations

import re
import sys
from xml.etree import ElementTree

import pytest

from lossgraph.catalogue import entries
from lossgraph.errors import InputError
from lossgraph.view.formulas import mathml

pytestmark = pytest.mark.once

pytest.importorskip("latex2mathml", reason="formulas need lossgraph[html]")

FORMULAS = sorted({entry.formula for entry in entries()})
# The elements of MathML Core, which is what browsers set.
CORE = [
    "math", "mfrac", "mi", "mn", "mo", "mover", "mrow", "mspace", "msqrt", "mstyle", "msub",
    "msubsup", "msup", "mtable", "mtd", "mtext", "mtr", "munder", "munderover",
]  # fmt: skip


def parsed(tex):
    return ElementTree.fromstring(mathml(tex))


def tag(element):
    return element.tag.removeprefix("{http://www.w3.org/1998/Math/MathML}")


def texts(tex):
    return [element.text for element in parsed(tex).iter() if element.text]


@pytest.mark.parametrize("tex", FORMULAS)
def test_every_formula_of_the_catalogue_is_set(tex):
    root = parsed(tex)
    assert {tag(element) for element in root.iter()} <= {*CORE}
    assert root.get("alttext") == tex
    shown = "".join(root.itertext())
    assert not re.search(r"[\\{}&^_$]", shown.replace("{", "", tex.count("cases"))), shown
    # what is no command stands there, in the order of the formula but for limits
    plain = re.sub(r"\\(?:begin|end|operatorname|text){(\w+)}|\\[a-zA-Z]+", "", tex)
    for letter in set(re.findall(r"[A-Za-z0-9=<>]", plain)):
        assert letter in shown, letter


def test_a_formula_as_it_is():
    assert mathml(r"-\log p_y") == (
        '<math xmlns="http://www.w3.org/1998/Math/MathML" display="block" alttext="-\\log p_y">'
        '<mrow><mo form="prefix">−</mo><mi>log</mi><mspace width="0.167em" />'
        "<msub><mi>p</mi><mi>y</mi></msub></mrow></math>"
    )


@pytest.mark.parametrize(
    ("tex", "signs"),
    [
        ("a = -b", [True]), ("a - b", [False]), ("(a) - b", [False]), ("(-b)", [True]),
        ("|a| - |b|", [False]), (r"\log -x", [True]), ("x! - 1", [False]), ("p_c - 1", [False]),
        (r"\begin{cases} -1 & a \\ a - 1 & b \end{cases}", [True, False]),
    ],
)  # fmt: skip
def test_signs_stand_close(tex, signs):
    minuses = [element for element in parsed(tex).iter() if element.text == "−"]
    assert [minus.get("form") == "prefix" for minus in minuses] == signs


@pytest.mark.parametrize(
    ("tex", "count"),
    [(r"\log p", 1), (r"\log (p)", 0), (r"\log\left(p\right)", 0), (r"w \log p", 2),
     (r"\max_c s", 1), (r"\operatorname{mean} x^2", 1), (r"\frac12 \log 2\pi", 2), ("a b", 0)],
)  # fmt: skip
def test_names_of_functions_keep_their_distance(tex, count):
    assert sum(tag(element) == "mspace" for element in parsed(tex).iter()) == count


def test_what_is_no_operator_has_no_space():
    for tex in ("|a|", r"\|a\|", "a/b"):
        marks = [element for element in parsed(tex).iter() if tag(element) == "mo"]
        assert all(mark.get("lspace") == mark.get("rspace") == "0" for mark in marks)
    (upright,) = (e for e in parsed(r"\Gamma(x)").iter() if e.text == "Γ")
    assert upright.get("mathvariant") == "normal"


def test_markup_is_escaped():
    assert "a &lt; b" in mathml("a < b")  # the alternative text
    assert texts("a < b") == ["a", "<", "b"]


def test_unknown_commands_are_refused():
    with pytest.raises(InputError, match=r"a command that is not known: \\frobnicate"):
        mathml(r"\frobnicate x")


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "latex2mathml.converter", None)
    with pytest.raises(InputError, match=r"pip install 'lossgraph\[html\]'"):
        mathml("x")


@pytest.mark.parametrize(
    ("tex", "sides"),
    [
        (r"\begin{cases} a & b \\ c & d \end{cases}", ["left"]),
        (r"\left( \frac{a}{b} \right)", ["left", "right"]),
        (r"\left( a + b \right)", []),
    ],
)
def test_fences_around_what_is_tall_are_drawn_as_high_as_that(tex: str, sides: list[str]) -> None:
    """No font is needed for it, and nothing is loaded."""
    made = mathml(tex)
    assert [side for side in ("left", "right") if f"padding-{side}" in made] == sides
    assert made.count("data:image/svg+xml") == len(sides)
    assert "url(" not in made
