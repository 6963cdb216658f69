"""The pipeline of training graphs in one page.

======================== ==================================================== =====================
stage                    what it does                                         where
======================== ==================================================== =====================
select                   which initializers are trained                       ``selection``
read                     the model as expressions, the trained ones as inputs ``importer``
attach                   the loss of its outputs, as one number               ``objective``
differentiate            the gradients by what is trained                     ``compiler``
update                   the optimizer's body, for each parameter             ``updates``
write                    three models of standard operators                   ``graphs``
======================== ==================================================== =====================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnx import numpy_helper

from ..authoring.functions import as_loss
from ..authoring.input_types import InputTypes
from ..compiler.program import assemble
from ..compiler.trace import Traced
from ..importer.graph import Graph
from ..importer.reader import from_onnx
from ..models.loading import load_model, require_model
from ..symbolic.arguments import checked
from .gradient_graph import GradientGraph
from .graphs import evaluation_graph, gradient_graph, training_graph
from .groups import by_parameter, freeze
from .objective import objective, optional_inputs
from .optimizers import SGD, Optimizer
from .paths import with_derivatives
from .selection import Selection, select
from .statistics import with_own_statistics
from .step import TrainingStep
from .updates import updates

if TYPE_CHECKING:
    import onnx


@checked
def build(
    model: onnx.ModelProto | str | Path,
    loss: Any,
    output: str | None = None,
    *,
    bind: Mapping[str, str] | None = None,
    inputs: InputTypes | None = None,
    rename: Mapping[str, str] | None = None,
    optimizer: Optimizer | None = None,
    groups: Mapping[str, Optimizer] | None = None,
    trainable: str | Sequence[str] | None = None,
    frozen: str | Sequence[str] = (),
) -> TrainingStep:
    """The graphs of a training step of a model.

    Args:
        model: an inference model or its file; it is not changed.
        loss: a loss, or a function of F. What is trained is its value if that is one number, else
            the sum of its values.
        output: the output that is the loss's first input, or a value inside the model, like the
            logits before a softmax; the only output by default.
        bind: further inputs of the loss, with the values of the model that they are.
        inputs: types of the loss's inputs, where the typical ones are not meant.
        rename: other names for inputs of the loss, ``{"label": "target"}``.
        optimizer: how parameters move; gradient descent by default.
        groups: other optimizers for some of them, by patterns of names; the first that fits
            counts. Their learning rates keep their proportion to that of ``optimizer``.
        trainable: names of initializers, or patterns like ``"layer4.*"``, that are trained; by
            default all that a person would train.
        frozen: names or patterns of those that are not.

    Returns:
        The graphs, as a ``TrainingStep``.

    Raises:
        InputError: for names and types that do not fit.
        GradientError: for a parameter that no derivative leads to, naming the operator and the
            node that stand in the way.
    """
    require_model("model", model)
    source = load_model(Path(model)) if isinstance(model, (str, Path)) else model
    optimizer = SGD() if optimizer is None else optimizer
    selection = freeze(select(source, trainable), frozen)
    source = with_own_statistics(source, selection.trainable)
    graph = from_onnx(source, selection.trainable)
    block, named = as_loss(loss), dict(rename or {})

    @cache
    def step(optional: frozenset[str]) -> TrainingStep:
        names = {**named, **{name: name for name in sorted(optional)}}
        traced = objective(graph, block, output, bind or {}, names, inputs or {})
        return _step(graph, traced, selection, optimizer, groups or {})

    left = optional_inputs(block, {*(bind or {}), *(inputs or {}), *named, *graph.values})
    gradients = GradientGraph(step(frozenset()).gradients.model, left, lambda n: step(n).gradients)
    return replace(step(frozenset()), gradients=gradients, optional=left, variant=step)


def _step(
    graph: Graph,
    traced: Traced,
    selection: Selection,
    optimizer: Optimizer,
    groups: Mapping[str, Optimizer],
) -> TrainingStep:
    selection = with_derivatives(graph, traced.values[0], selection)
    program = assemble(traced, grad=selection.trainable)
    update = updates(program, by_parameter(selection.trainable, optimizer, groups), optimizer)
    tensors = {tensor.name: tensor for tensor in graph.model.graph.initializer}
    parameters = {name: numpy_helper.to_array(tensors[name]) for name in selection.trainable}
    weights = [node for name, node in graph.weights.items() if name in parameters]
    batch = tuple(node.attrs["name"] for node in program.inputs
                  if node.attrs["name"] not in graph.weights)  # fmt: skip
    return TrainingStep(
        graph.model,
        GradientGraph(gradient_graph(program, graph, weights)),
        training_graph(program, update, graph, weights),
        evaluation_graph(program, graph, weights),
        parameters,
        update.state(parameters),
        update.hyper,
        batch,
        selection.left_out,
        optimizer,
    )
