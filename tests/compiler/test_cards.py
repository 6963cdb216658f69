"""What a notebook shows of programs and compiled losses."""

from __future__ import annotations

from xml.etree import ElementTree

import lossgraph as lg
from lossgraph import gluon
from lossgraph.ir.text import lines

CE = {"pred": ("float32", ("N", "C")), "label": ("int64", ("N",))}


def parsed(card: str) -> ElementTree.Element:
    """The card, which is well-formed and loads nothing."""
    root = ElementTree.fromstring(card)
    tags = {element.tag for element in root.iter()}
    assert tags <= {"div", "b", "code", "table", "tr", "th", "td", "details", "summary", "pre"}
    return root


def rows(root: ElementTree.Element) -> list[list[str]]:
    return [["".join(cell.itertext()) for cell in row] for row in root.iter("tr")]


def test_a_program_shows_its_types_and_its_expression() -> None:
    program = gluon.SoftmaxCELoss().program(CE, grad=["pred"])
    root = parsed(program._repr_html_())
    assert root.findtext("b") == "SoftmaxCrossEntropyLoss"
    assert rows(root) == [
        ["input", "type"],
        ["pred", "float32[N,C]"],
        ["label", "int64[N]"],
        ["output", "what it is", "type"],
        ["loss", "value", "float32[N]"],
        ["grad_pred", "gradient", "float32[N,C]"],
    ]
    shown = root.findtext("details/pre")
    assert shown == "\n".join(lines(program.outputs, program.inputs))
    assert root.findtext("details/summary") == f"expression, {len(shown.splitlines())} lines"


def test_a_compiled_loss_shows_its_program() -> None:
    compiled = lg.compile(gluon.SoftmaxCELoss(), CE, grad=["pred"])
    assert compiled._repr_html_() == compiled.program._repr_html_()


def test_what_a_user_names_is_escaped() -> None:
    def loss(F, pred):
        return F.abs(pred)

    loss.__name__ = "<script>a & b</script>"
    root = parsed(lg.compile(loss, {"pred": ("float32", ("N",))}).program._repr_html_())
    assert root.findtext("b") == "<script>a & b</script>"
