"""ONNX graphs as pictures: SVG in the colors of the page around it, light or dark.

Constants stand in the boxes of the operators that read them. Graphs inside operators, like the
body of a scan, are drawn below.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from ..models.declared_types import dtype_text, type_text
from .layer_layout import Box, Edge, Placement, place

_TITLE, _DETAIL = 7.4, 6.3  # the width of a letter
_LINE, _PAD = 15.0, 8.0
_MOST_LETTERS = 30  # of a line in a box
_MOST_ELEMENTS = 4  # of a constant that is spelled out
_MARGIN, _BETWEEN = 12.0, 40.0
_ARROW, _PORT = 7.0, 12.0

STYLE = """
.onnx-graph{font:12px system-ui,sans-serif;color:inherit;max-width:none}
.onnx-graph text{fill:currentColor;text-anchor:middle}
.onnx-graph .name{font-weight:600}
.onnx-graph .detail{font-size:11px;opacity:.75}
.onnx-graph .caption{font-weight:600;text-anchor:start}
.onnx-graph rect{fill:currentColor;fill-opacity:.06;stroke:currentColor;stroke-opacity:.55}
.onnx-graph .input rect{fill:#0072b2;fill-opacity:.18;stroke:#0072b2;stroke-opacity:1}
.onnx-graph .output rect{fill:#d55e00;fill-opacity:.18;stroke:#d55e00;stroke-opacity:1}
.onnx-graph .outside rect{fill:none;stroke-dasharray:4 3}
.onnx-graph .edge{fill:none;stroke:currentColor;stroke-opacity:.5}
.onnx-graph .head{fill:currentColor;fill-opacity:.6}
"""


@dataclass
class _Drawn:
    """A box before it has a place."""

    kind: str  # operator, input, output, constant, outside
    name: str
    details: list[str] = field(default_factory=list)
    hint: str = ""

    @property
    def lines(self) -> list[str]:
        """The details, as far as there is room for them."""
        return [
            line if len(line) <= _MOST_LETTERS else f"{line[: _MOST_LETTERS - 1]}…"
            for line in self.details
        ]

    @property
    def size(self) -> tuple[float, float]:
        longest = max([len(line) * _DETAIL for line in self.lines], default=0.0)
        width = max(len(self.name) * _TITLE, longest, 28.0) + 2 * _PAD
        return round(width, 1), (1 + len(self.lines)) * _LINE + _PAD


@dataclass
class _Graph:
    """The boxes and edges of one graph while it is read.

    Attributes:
        caption: what it is the graph of; empty for the model's own.
        types: types of values, as texts.
        constants: values that stand in the boxes of those that read them.
        boxes: what is drawn.
        edges: the names of the values that go from box to box.
        source: the box that each value comes from.
    """

    caption: str
    types: Mapping[str, str]
    constants: dict[str, Any]
    boxes: list[_Drawn] = field(default_factory=list)
    edges: dict[Edge, list[str]] = field(default_factory=dict)
    source: dict[str, int] = field(default_factory=dict)

    def add(self, box: _Drawn, reads: Iterable[str], gives: Iterable[str]) -> None:
        """A box with the values that it reads and gives."""
        starts = {name: self._start(name) for name in reads if name and name not in self.constants}
        target = len(self.boxes)
        for name, start in starts.items():
            self.edges.setdefault((start, target), []).append(name)
        self.source |= dict.fromkeys(gives, target)
        self.boxes.append(box)

    def _start(self, name: str) -> int:
        if name not in self.source:  # of the graph around this one
            self.add(_Drawn("outside", name, [self.types.get(name, "")]), (), (name,))
        return self.source[name]


class Drawing(str):
    """The text of an SVG, which a notebook shows as the picture that it is."""

    __slots__ = ()

    def _repr_svg_(self) -> str:
        return str(self)


def svg(model: onnx.ModelProto, title: str = "", description: str = "") -> Drawing:
    """The graph of a model as an SVG, the same text for the same model.

    Args:
        model: the model.
        title: what it is called for those who do not see it; the graph's name if empty.
        description: what it shows; how many operators if empty.

    Raises:
        InputError: if the library that places the boxes is not installed.
    """
    with suppress(onnx.shape_inference.InferenceError):  # types are only said where known
        model = onnx.shape_inference.infer_shapes(model)
    graphs = list(_graphs(model.graph, _Graph("", {}, {}), ""))
    parts, top, width = [], _MARGIN, 0.0
    for graph in graphs:
        content, size = _placed(graph, top)
        parts.append(content)
        top, width = top + size[1] + _BETWEEN, max(width, size[0])
    height = top - _BETWEEN + _MARGIN
    count = sum(box.kind == "operator" for graph in graphs for box in graph.boxes)
    told = description or f"ONNX graph of {count} operators, from inputs above to outputs below"
    box = f"{_number(width + 2 * _MARGIN)} {_number(height)}"
    wide, high = box.split()
    return Drawing(
        f'<svg xmlns="http://www.w3.org/2000/svg" class="onnx-graph" role="img" '
        f'viewBox="0 0 {box}" width="{wide}" height="{high}">'
        f"<title>{escape(title or model.graph.name)}</title><desc>{escape(told)}</desc>"
        f"<style>{STYLE}</style>{''.join(parts)}</svg>"
    )


# --- what is drawn ---


def _graphs(graph: Any, around: _Graph, caption: str) -> Iterator[_Graph]:
    """A graph, then those inside its operators."""
    types = {**around.types, **_types(graph)}
    constants = {**around.constants, **{tensor.name: tensor for tensor in graph.initializer}}
    drawn = _Graph(caption, types, constants)
    for info in graph.input:
        if info.name not in drawn.constants:
            drawn.add(_Drawn("input", info.name, [types[info.name]]), (), (info.name,))
    inner = []
    for node in graph.node:
        value = next((a.t for a in node.attribute if a.name == "value"), None)
        if node.op_type == "Constant" and value is not None:
            drawn.constants[node.output[0]] = value
            continue
        bodies = [(a.name, a.g) for a in node.attribute if a.type == onnx.AttributeProto.GRAPH]
        reads = [*node.input, *(name for _, body in bodies for name in _captured(body))]
        drawn.add(_operator(node, drawn.constants), reads, node.output)
        inner += [(f"{name} of {node.name or node.op_type}", body) for name, body in bodies]
    for info in graph.output:
        if info.name in drawn.constants:
            text = _constant(drawn.constants.pop(info.name))
            drawn.add(_Drawn("constant", text), (), (info.name,))
        drawn.add(_Drawn("output", info.name, [types.get(info.name, "")]), (info.name,), ())
    yield drawn
    for name, body in inner:
        yield from _graphs(body, drawn, name)


def _types(graph: Any) -> dict[str, str]:
    """The types of values that are known, like ``float32[N, 3]``."""
    return {
        info.name: type_text(info.type) for info in (*graph.input, *graph.value_info, *graph.output)
    }


def _captured(graph: Any) -> list[str]:
    """The values of the graph around it that a graph reads, those of graphs inside it too."""
    own = {value.name for value in (*graph.input, *graph.initializer)}
    own |= {name for node in graph.node for name in node.output}
    read = [name for node in graph.node for name in node.input]
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                read += _captured(attribute.g)
    read += [info.name for info in graph.output]
    return [name for name in dict.fromkeys(read) if name and name not in own]


def _operator(node: Any, constants: Mapping[str, Any]) -> _Drawn:
    """Its name, its constants by the names of its inputs, its attributes."""
    formal = _formal_names(node)
    details = [
        f"{formal[i]} = {_constant(constants[name])}"
        for i, name in enumerate(node.input)
        if name in constants
    ]
    details += [
        f"{attribute.name} = {_attribute(attribute)}"
        for attribute in node.attribute
        if attribute.type not in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)
    ]
    name = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
    return _Drawn("operator", name, details, node.name)


def _formal_names(node: Any) -> list[str]:
    """What the inputs of an operator are called, by ONNX where it knows them."""
    try:
        known = [parameter.name for parameter in onnx.defs.get_schema(node.op_type).inputs]
    except onnx.defs.SchemaError:
        known = []
    return [*known, *(f"input {i}" for i in range(len(known), len(node.input)))]


def _constant(tensor: Any) -> str:
    """A constant's elements, or its type if they are many."""
    if int(np.prod(tensor.dims)) > _MOST_ELEMENTS:
        dims = ", ".join(map(str, tensor.dims))
        return f"{dtype_text(tensor.data_type)}[{dims}]"
    return _elements(numpy_helper.to_array(tensor))


def _elements(value: np.ndarray[Any, Any]) -> str:
    if value.ndim == 0:
        return str(value[()])  # the shortest text that is this number in its dtype
    return f"[{', '.join(map(_elements, map(np.asarray, value)))}]"


def _attribute(attribute: Any) -> str:
    kinds = onnx.AttributeProto
    if attribute.type == kinds.STRING:
        return attribute.s.decode(errors="replace")
    if attribute.name == "to":
        return dtype_text(attribute.i)
    if attribute.type == kinds.TENSOR:
        return _constant(attribute.t)
    numbers = {
        kinds.FLOAT: f"{attribute.f:.6g}",
        kinds.INT: str(attribute.i),
        kinds.FLOATS: str([float(f"{value:.6g}") for value in attribute.floats]),
        kinds.INTS: str(list(attribute.ints)),
    }
    return numbers.get(attribute.type, "…")


# --- how it is drawn ---


def _placed(graph: _Graph, top: float) -> tuple[str, tuple[float, float]]:
    """A graph below ``top``, with its size."""
    placement = place([box.size for box in graph.boxes], list(graph.edges))
    parts = []
    caption = 0.0
    if graph.caption:
        caption = 2 * _LINE
        parts.append(_text("caption", 0, _LINE - caption, graph.caption))
    leaves = _ports(placement, 0, 1)
    arrives = _ports(placement, -1, -2)
    for edge, route in placement.routes.items():
        hint = "; ".join(f"{name}: {graph.types.get(name, '?')}" for name in graph.edges[edge])
        ends = [placement.boxes[v] for v in edge]
        line = _line(route, ends[0]._replace(x=leaves[edge]), ends[1]._replace(x=arrives[edge]))
        parts.append(f"<g>{line}<title>{escape(hint)}</title></g>")
    parts += map(_box, graph.boxes, placement.boxes)
    shift = f"translate({_number(_MARGIN)} {_number(top + caption)})"
    width = max(placement.width, len(graph.caption) * _TITLE)
    return f'<g transform="{shift}">{"".join(parts)}</g>', (width, placement.height + caption)


def _ports(placement: Placement, own: int, next_: int) -> dict[Edge, float]:
    """Where lines touch a box, from left to right in the order of where they go on."""
    touching: dict[int, list[Edge]] = defaultdict(list)
    for edge in placement.routes:
        touching[edge[own]].append(edge)
    found = {}
    for v, edges in touching.items():
        edges.sort(key=lambda edge: (placement.routes[edge][next_].x, edge))
        box = placement.boxes[v]
        step = min(_PORT, (box.width - 2 * _PAD) / len(edges))
        for i, edge in enumerate(edges):
            found[edge] = box.x + (i - (len(edges) - 1) / 2) * step
    return found


def _line(route: Sequence[Box], first: Box, last: Box) -> str:
    """A line that bends between layers and is straight within, and its arrowhead."""
    x, y = first.x, route[0].bottom
    path = [f"M{_number(x)} {_number(first.bottom)}V{_number(y)}"]
    for band in (*route[1:-1], route[-1]._replace(x=last.x)):
        path += [_bend(x, y, band.x, band.top), f"V{_number(band.bottom)}"]
        x, y = band.x, band.bottom
    path[-1] = f"V{_number(last.top - _ARROW)}"
    head = f"M{_number(x)} {_number(last.top)}l{_number(-_ARROW / 2)} {_number(-_ARROW)}"
    head += f"h{_number(_ARROW)}z"
    return f'<path class="edge" d="{"".join(path)}"/><path class="head" d="{head}"/>'


def _bend(x: float, y: float, to_x: float, to_y: float) -> str:
    half = _number((y + to_y) / 2)
    return f"C{_number(x)} {half} {_number(to_x)} {half} {_number(to_x)} {_number(to_y)}"


def _box(drawn: _Drawn, box: Box) -> str:
    round_ = 3 if drawn.kind in ("operator", "constant") else _LINE
    lines = [("name", drawn.name), *(("detail", line) for line in drawn.lines)]
    texts = (
        _text(kind, box.x, box.top + _PAD / 2 + (i + 0.75) * _LINE, line)
        for i, (kind, line) in enumerate(lines)
    )
    place_ = (("x", box.x - box.width / 2), ("y", box.top), ("rx", round_))
    size = (("width", box.width), ("height", box.height))
    attributes = " ".join(f'{key}="{_number(value)}"' for key, value in (*place_, *size))
    hint = f"<title>{escape('; '.join([drawn.hint or drawn.name, *drawn.details]))}</title>"
    return f'<g class="{drawn.kind}">{hint}<rect {attributes}/>{"".join(texts)}</g>'


def _text(kind: str, x: float, y: float, text: str) -> str:
    return f'<text class="{kind}" x="{_number(x)}" y="{_number(y)}">{escape(text)}</text>'


def _number(value: float) -> str:
    """A length, short and without a negative zero."""
    return f"{round(value, 1) + 0.0:g}"
