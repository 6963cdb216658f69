"""Lowering: expressions to an ONNX model of standard operators.

Which operators an operation becomes is said where the operation is declared; the builder that it
is given stands in ``nodes``, ``sizes``, ``walk`` and ``control``, each adding to the one before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import InputError
from ..ir.expr import Expr
from ..passes.costs import PORTABLE, Target
from ..passes.mixed_precision import widen
from .control import Builder
from .onnx_api import helper, onnx, value_info
from .opsets import checked_opset


def lower(
    inputs: Sequence[Expr],
    outputs: Mapping[str, Expr],
    *,
    opset: int | None = None,
    name: str = "loss",
    metadata: Mapping[str, str] | None = None,
    target: Target = PORTABLE,
) -> onnx.ModelProto:
    """An ONNX model that computes ``outputs`` from ``inputs``.

    Args:
        inputs: the graph's inputs, in order; unused ones stay in the signature.
        outputs: expressions by output name, in order.
        opset: version of the standard operator set, 13 to 26; 18 by default.
        name: name of the graph.
        metadata: text stored in the model.
        target: where it is to run. In a portable model the bodies of scans read nothing outside,
            which some engines cannot do; ONNX Runtime can, and is a little faster for it.

    Raises:
        InputError: for an opset outside the range, or a name that is used twice.
        LoweringError: for an expression that the opset cannot say.
    """
    wide = dict(zip(outputs, widen(list(outputs.values())), strict=True))
    return lower_wide(inputs, wide, opset=opset, name=name, metadata=metadata, target=target)


def lower_wide(
    inputs: Sequence[Expr],
    outputs: Mapping[str, Expr],
    *,
    opset: int | None = None,
    name: str = "loss",
    metadata: Mapping[str, str] | None = None,
    target: Target = PORTABLE,
) -> onnx.ModelProto:
    """The same for outputs that compute in no narrow dtypes any more."""
    opset = checked_opset(opset)
    _check_names(inputs, outputs)
    from .. import __version__

    builder = Builder(inputs, opset, target)
    builder.reserve(outputs)
    builder.define_sizes(list(outputs.values()))
    for output, value in outputs.items():
        builder.output(output, value)
    graph = helper.make_graph(
        builder.live_nodes(list(outputs)),
        name,
        [value_info(node.attrs["name"], node.type) for node in inputs],
        [value_info(output, value.type) for output, value in outputs.items()],
        builder.live_initializers(),
    )
    standard = helper.make_opsetid("", opset)
    domains = dict.fromkeys(node.domain for node in graph.node if node.domain)
    versions = {domain: builder.domains.get(domain, 1) for domain in domains}
    model = helper.make_model(
        graph,
        opset_imports=[standard, *(helper.make_opsetid(*pair) for pair in versions.items())],
        ir_version=helper.find_min_ir_version_for([standard]),
        producer_name="lossgraph",
        producer_version=__version__,
    )
    helper.set_model_props(model, dict(metadata or {}))
    return model


def _check_names(inputs: Sequence[Expr], outputs: Mapping[str, Expr]) -> None:
    listed = [node.attrs["name"] for node in inputs]
    clashes = {name for name in [*listed, *outputs] if (listed + list(outputs)).count(name) > 1}
    if clashes:
        raise InputError(
            f"name {sorted(clashes)[0]!r} stands for two inputs or outputs: rename one"
        )
