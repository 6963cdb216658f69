"""Pictures of ONNX graphs: everything is there, and nothing lies on anything else."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from lossgraph import gluon
from lossgraph.catalogue import entries, example_types
from lossgraph.errors import InputError
from lossgraph.view import layer_layout
from lossgraph.view.drawing import svg
from support import operators_in

pytestmark = pytest.mark.once

pytest.importorskip("fast_sugiyama", reason="drawing needs lossgraph[html]")

SVG = "{http://www.w3.org/2000/svg}"
TYPES = dict.fromkeys(("pred", "label"), ("float32", ("N", "C")))


def parsed(model):
    return ElementTree.fromstring(svg(model))


def groups(root, kind):
    return [g for g in root.iter(f"{SVG}g") if g.get("class") == kind]


def rectangles(graph):
    """The corners of the boxes of one graph: left, top, right, bottom."""
    found = []
    for rect in graph.iter(f"{SVG}rect"):
        x, y, width, height = (float(rect.get(key)) for key in ("x", "y", "width", "height"))
        found.append((x, y, x + width, y + height))
    return found


def operators(graph):
    """The names of the operators of a graph and those inside it, of constants without."""
    for node in graph.node:
        if node.op_type != "Constant":
            yield node.op_type
        for attribute in node.attribute:
            yield from operators(attribute.g)


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_every_exported_loss_can_be_drawn(entry):
    loss = entry.make()
    types = example_types(loss)
    model = loss.to_onnx(types, grad=[next(iter(types))])
    root = parsed(model)
    names = [g.find(f"{SVG}text").text for g in groups(root, "operator")]
    assert sorted(names) == sorted(operators(model.graph))
    shown = {text.text for text in root.iter(f"{SVG}text")}
    assert {info.name for info in (*model.graph.input, *model.graph.output)} <= shown
    for graph in root.findall(f"{SVG}g"):
        check_boxes(graph, float(root.get("width")), float(root.get("height")))
        check_lines(graph)


def check_boxes(graph, width, height):
    x, y = map(float, re.findall(r"[\d.]+", graph.get("transform")))
    boxes = rectangles(graph)
    for a, b in itertools.combinations(boxes, 2):
        assert a[2] < b[0] or b[2] < a[0] or a[3] < b[1] or b[3] < a[1], f"{a} and {b} overlap"
    assert all(box[0] >= -0.1 and box[1] >= 0 for box in boxes)
    assert all(x + box[2] <= width and y + box[3] <= height for box in boxes)


def check_lines(graph):
    """Lines go from the lower side of a box to the upper side of another, through none."""
    boxes = rectangles(graph)
    for line, head in zip(graph.iterfind(f".//{SVG}path[@class='edge']"),
                          graph.iterfind(f".//{SVG}path[@class='head']"), strict=True):  # fmt: skip
        x, y = map(float, re.match(r"M(-?[\d.]+) (-?[\d.]+)", line.get("d")).groups())
        assert any(b[0] < x < b[2] and abs(b[3] - y) < 0.11 for b in boxes), "starts nowhere"
        x, y = map(float, re.match(r"M(-?[\d.]+) (-?[\d.]+)", head.get("d")).groups())
        assert any(b[0] < x < b[2] and abs(b[1] - y) < 0.11 for b in boxes), "ends nowhere"
        for x, low, high in straight(line.get("d")):
            assert not any(
                b[0] < x < b[2] and low < b[3] - 0.11 and high > b[1] + 0.11 for b in boxes
            ), "lies on a box"


def straight(path):
    """The vertical pieces of a path: x, upper end, lower end."""
    x = y = 0.0
    for command, text in re.findall(r"([MCV])([^MCV]*)", path):
        numbers = [float(number) for number in re.findall(r"-?[\d.]+", text)]
        if command == "V":
            yield x, y, numbers[0]
            y = numbers[0]
        else:
            x, y = numbers[-2:]


def test_types_attributes_and_constants_are_said():
    text = svg(gluon.HuberLoss(rho=0.25).to_onnx(TYPES, grad=["pred"]))
    for said in ("float32[N, C]", "float32[N]", "min = -0.25", "axes = [1]", "grad_pred",
                 "to = float32"):  # fmt: skip
        assert said in text, said


def test_who_sees_nothing_is_told_what_it_is():
    model = gluon.L2Loss().to_onnx(TYPES)
    root = ElementTree.fromstring(svg(model, "L2 & <more>", "a mean"))
    assert root.get("role") == "img"
    assert [child.tag for child in root][:2] == [f"{SVG}title", f"{SVG}desc"]
    assert [child.text for child in root][:2] == ["L2 & <more>", "a mean"]
    told = parsed(model)[1].text
    assert told == f"ONNX graph of {operators_in(model.graph)} operators, " \
                   "from inputs above to outputs below"  # fmt: skip


def small_model(nodes, inputs, outputs, constants=()):
    def values(names):
        return [helper.make_tensor_value_info(n, TensorProto.FLOAT, [2]) for n in names]

    graph = helper.make_graph(nodes, "small", values(inputs), values(outputs), list(constants))
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("my.own", 1)]
    )


def test_names_of_others_are_escaped_and_values_outside_are_shown():
    wide = numpy_helper.from_array(np.zeros((3, 4), np.float32), "w")
    branch = helper.make_graph(
        [helper.make_node("Add", ["a<b", "w"], ["inner"])], "then", [],
        [helper.make_tensor_value_info("inner", TensorProto.FLOAT, [2])],
    )  # fmt: skip
    condition = numpy_helper.from_array(np.array(True), "c")
    nodes = [
        helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch, name="i"),
        helper.make_node("Frobnicate", ["y", "w"], ["z"], domain="my.own", name="f"),
    ]
    root = parsed(small_model(nodes, ["a<b", "spare"], ["z"], [wide, condition]))
    shown = [text.text for text in root.iter(f"{SVG}text")]
    assert shown.count("a<b") == 3  # an input, and read by both branches
    assert [g.find(f"{SVG}text").text for g in groups(root, "outside")] == ["a<b"] * 2
    assert "my.own.Frobnicate" in shown
    assert "input 1 = float32[3, 4]" in shown
    assert {
        "then_branch of i",
        "else_branch of i",
        "cond = True",
        "spare",
        "B = float32[3, 4]",
    } <= set(shown)


def test_a_constant_output_and_a_graph_without_operators():
    constant = numpy_helper.from_array(np.array([1, 2], np.float32), "k")
    shown = [
        t.text for t in parsed(small_model([], ["x"], ["x", "k"], [constant])).iter(f"{SVG}text")
    ]
    assert "[1.0, 2.0]" in shown
    assert shown.count("x") == 2


DRAW = """
import hashlib
from lossgraph import gluon
from lossgraph.view.drawing import svg
types = {"pred": ("float32", ("N", 6, 4)), "label": ("int64", ("N", 2))}
print(hashlib.sha256(svg(gluon.CTCLoss().to_onnx(types, grad=["pred"])).encode()).hexdigest())
"""


def test_the_same_picture_in_every_run():
    found = {
        subprocess.run(
            [sys.executable, "-c", DRAW], env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("0", "1", "77")
    }  # fmt: skip
    assert len(found) == 1


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "fast_sugiyama", None)
    with pytest.raises(InputError, match=r"pip install 'lossgraph\[html\]'"):
        layer_layout.place([(1, 1)], [])


def test_boxes_stand_as_near_to_where_they_want_as_their_widths_allow():
    """Three that want the same place, against the least squares of scipy."""
    from scipy.optimize import minimize

    wanted, room = [5.0, 5.0, 1.0, 30.0], [4.0, 10.0, 2.0, 6.0]
    apart = [(a + b) / 2 for a, b in itertools.pairwise(room)]
    best = minimize(
        lambda x: ((x - wanted) ** 2).sum(), np.cumsum(room), method="SLSQP",
        constraints=[{"type": "ineq", "fun": lambda x, i=i: x[i + 1] - x[i] - apart[i]}
                     for i in range(3)],
    )  # fmt: skip
    assert layer_layout._apart(wanted, room) == pytest.approx(best.x, abs=1e-4)


def test_a_notebook_shows_the_picture():
    drawing = svg(gluon.L2Loss().to_onnx(dict.fromkeys(("pred", "label"), ("float32", ("N", "C")))))
    assert drawing._repr_svg_() == drawing
    assert drawing.startswith("<svg ")
