"""The page of ONNX's operators names each, and its cases find what is wrong."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import defs

from support import ROOT, load_tool

tool = load_tool("node_cases.py")
PAGE = (ROOT / "docs" / "operators-of-onnx.md").read_text()


def test_the_page_has_every_standard_operator():
    for schema in defs.get_all_schemas():
        if not schema.domain and not schema.deprecated and schema.since_version <= 26:
            assert f"| `{schema.name}` |" in PAGE


def test_nothing_on_the_page_is_wrong():
    assert "WRONG" not in PAGE


@pytest.fixture(scope="module")
def cases():
    wanted = ("LRN", "BatchNormalization", "Gemm", "Mish", "NonZero")
    found = {}
    for case in tool.cases(wanted):
        found.setdefault(case.operator, case)
    return found


def test_cases_are_read_written_and_differentiated(cases):
    outcomes = {name: tool.outcome(case) for name, case in cases.items()}
    assert {made.values for made in outcomes.values()} == {"equal"}
    for name in ("LRN", "BatchNormalization", "Gemm", "Mish"):
        assert set(outcomes[name].gradients.values()) == {"equal"}
    assert outcomes["NonZero"].kept


def test_another_operator_than_the_recorded_one_is_found(cases):
    case = cases["Mish"]
    other = onnx.ModelProto()
    other.CopyFrom(case.model)
    other.graph.node[0].op_type = "Softplus"
    graph = tool.from_onnx(other)
    arrays = dict(zip([case.model.graph.input[0].name], case.inputs, strict=True))
    assert tool._values(case, graph, arrays).startswith("WRONG")


def test_a_wrong_slope_is_found():
    place = {"x": np.array([1.0, 2.0])}
    found = tool._compared(lambda x: 2 * x["x"], lambda x: (x["x"] ** 2).sum(), place, "x")
    assert found == "equal"
    found = tool._compared(lambda x: 3 * x["x"], lambda x: (x["x"] ** 2).sum(), place, "x")
    assert found.startswith("WRONG")
