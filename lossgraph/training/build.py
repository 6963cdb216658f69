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
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnx import numpy_helper

from ..authoring.input_types import InputTypes
from ..compiler.program import assemble
from ..importer.reader import from_onnx
from ..models.loading import load_model, require_model
from ..symbolic.arguments import checked
from .graphs import evaluation_graph, gradient_graph, training_graph
from .objective import objective
from .optimizers import SGD, Optimizer
from .paths import require_derivatives
from .selection import select
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
    trainable: str | Sequence[str] | None = None,
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
        trainable: names of initializers, or patterns like ``"layer4.*"``, that are trained; by
            default all that a person would train.

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
    selection = select(source, trainable)
    graph = from_onnx(source, selection.trainable)
    traced = objective(graph, loss, output, bind or {}, rename or {}, inputs or {})
    require_derivatives(graph, traced.values[0], selection.trainable)
    program = assemble(traced, grad=selection.trainable)
    update = updates(program, optimizer)
    tensors = {tensor.name: tensor for tensor in source.graph.initializer}
    parameters = {name: numpy_helper.to_array(tensors[name]) for name in selection.trainable}
    weights = [node for name, node in graph.weights.items() if name in parameters]
    batch = tuple(node.attrs["name"] for node in program.inputs
                  if node.attrs["name"] not in graph.weights)  # fmt: skip
    return TrainingStep(
        source,
        gradient_graph(program, graph, weights),
        training_graph(program, update, graph, weights),
        evaluation_graph(program, graph, weights),
        parameters,
        update.state(parameters),
        update.hyper,
        batch,
        selection.left_out,
        optimizer,
        (*program.labels, *program.derived),
    )
