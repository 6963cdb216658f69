"""The page of the operators of F is what their register says, and each is tested somewhere."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import lossgraph as lg
import mxnet_ops
from lossgraph import reference, symbolic
from lossgraph.lowering.lower import lower
from lossgraph.symbolic.listing import SPACES, listing, names
from support import ROOT, load_tool, newest_opset

operators = load_tool("operators.py")
FUNCTIONS = listing()


def test_the_page_is_fresh():
    assert operators.PAGE.read_text() == operators.page(), "run tools/operators"


def test_the_page_has_every_function_once():
    text = operators.PAGE.read_text()
    for function in FUNCTIONS:
        assert text.count(f"**`{function.name}`**") == 1
    assert {name for function in FUNCTIONS for name in function.names} == set(names())


def test_a_function_without_a_line_makes_the_page_stale(monkeypatch):
    monkeypatch.setattr(operators, "listing", lambda: FUNCTIONS[:-1])
    assert operators.PAGE.read_text() != operators.page()


def test_remarks_are_of_functions_that_are_there():
    known = {function.name for function in FUNCTIONS}
    assert set(operators.REMARKS) | set(operators.OPSETS) <= known


def test_arguments_of_mxnet_are_recorded_of_operators_that_are_there():
    assert set(json.loads(operators.RECORDED.read_text())) <= set(names())


def test_numpy_has_the_same_namespaces():
    for space, content in SPACES.items():
        assert set(vars(content)) == set(vars(getattr(reference, space)))


def used(text):
    """The functions of F in a text, by the names that it has."""
    called = re.findall(r"\b(?:F|reference|symbolic)\.(?:contrib\.|linalg\.)?(\w+)", text)
    return {*called, *re.findall(r'"(\w+)"', text)}


def test_every_function_is_tested():
    texts = [case["expr"] for case in mxnet_ops.cases()]
    texts += [path.read_text() for path in Path(ROOT, "tests").rglob("*.py")]
    tested = used("\n".join(texts))
    by_losses = {"floor_divide", "logaddexp", "masked_mul"}  # and by x // y
    missing = {
        function.name
        for function in FUNCTIONS
        if not tested & {name.rpartition(".")[2] for name in function.names}
    }
    assert missing <= by_losses


# --- opsets -------------------------------------------------------------------------------------

CASES = {}
for recorded in mxnet_ops.cases():
    for found in used(recorded["expr"]):
        CASES.setdefault(found, recorded)


@pytest.mark.parametrize("opset", [13, 26])
def test_recorded_operators_are_written_in_the_oldest_and_the_newest_opset(opset):
    """One case of each; the values are compared elsewhere, in the default opset."""
    if opset > newest_opset():
        pytest.skip(f"this ONNX Runtime loads up to opset {newest_opset()}")
    for case in {case["id"]: case for case in CASES.values()}.values():
        inputs = {
            name: lg.symbol(name, array.dtype.name, array.shape)
            for name, array in mxnet_ops.load(case).inputs.items()
        }
        if any(0 in symbol.shape for symbol in inputs.values()):
            continue
        value = eval(case["expr"], {"F": symbolic, **inputs})
        parts = value if isinstance(value, (tuple, list)) else [value]
        roots = {f"result{i}": part.expr for i, part in enumerate(parts)}
        lower([x.expr for x in inputs.values()], roots, opset=opset)
