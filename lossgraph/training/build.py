"""The pipeline of training graphs in one page.

======================== ==================================================== =====================
stage                    what it does                                         where
======================== ==================================================== =====================
select                   which initializers are trained                       ``selection``
read                     the model as expressions, the trained ones as inputs ``importer``
attach                   the loss of its outputs, as one number               ``objective``
narrow                   heavy operations in 16 bits, if asked for            ``precision``
differentiate            the gradients by what is trained                     ``compiler``
update                   the optimizer's body, for each parameter             ``updates``
write                    models of standard operators                         ``graphs``
======================== ==================================================== =====================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from ..ir import ops
from ..ir.evaluate import bind_sizes
from ..ir.types import TensorType
from ..models.loading import load_model, require_model, require_weights
from ..symbolic.arguments import checked
from .constants import with_named_constants
from .forms import forms_of, read
from .gradient_graph import GradientGraph
from .graphs import Writer
from .groups import by_parameter, freeze
from .objective import objective, optional_inputs, types_of_optional
from .optimizers import SGD, Optimizer
from .optimizers.options import Above, Count
from .paths import with_derivatives
from .plan import Plan
from .precision import Precision, at_least_single, narrowed
from .scaling import LossScale, as_loss_scale
from .selection import Selection, select
from .statistics import with_own_statistics
from .step import TrainingStep
from .tying import ties, without_copies
from .updates import loss_scale_variable, updates

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
    tie: bool | Sequence[Sequence[str]] = False,
    clip_value: Above | None = None,
    clip_norm: Above | None = None,
    accumulate: Count = 1,
    precision: Precision = None,
    loss_scale: LossScale | float | None = None,
    training_mode: bool = False,
    seed: int = 0,
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
        tie: initializers that are copies of one parameter, as they are or transposed: names that
            belong together, that of the parameter first, or True for all trained matrices with
            the same elements. By default each is trained on its own, as the model has them.
        clip_value: the largest size of an element of a gradient.
        clip_norm: the largest norm of all gradients together, after ``clip_value``.
        accumulate: the number of batches whose mean gradients make a step.
        precision: "float16" or "bfloat16" for products and convolutions of 16 bits in ``train``,
            ``accumulate`` and ``evaluate``; all else is computed in 32 bits, and parameters are
            kept so. It pays on hardware that has units for it: on a CPU, ONNX Runtime computes
            float16 in 32 bits, and has nothing for bfloat16.
        loss_scale: how the loss is scaled for gradients of few bits, a number that stays as it
            is, or None: as ``LossScale()`` in float16, else not at all.
        training_mode: whether BatchNormalization takes the statistics of the batch, and moves the
            running ones, and Dropout drops, as after PyTorch's ``model.train()``; by default those
            alone do that the model has in training (``training_mode=1``). What moves is part of
            the state; ``evaluate`` and the exported model have the form of inference.
        seed: what the random numbers of ``train`` begin with; it is part of the state, as
            ``random_seed``, and counts the batches.

    Returns:
        The graphs, as a ``TrainingStep``.

    Raises:
        InputError: for names and types that do not fit.
        GradientError: for a parameter that no derivative leads to, naming the operator and the
            node that stand in the way.
    """
    require_model("model", model)
    source = load_model(Path(model)) if isinstance(model, (str, Path)) else model
    require_weights(source)
    source = with_named_constants(source, trainable)
    selection = freeze(select(source, trainable), frozen)
    source = with_own_statistics(source, selection.trainable)
    forms = forms_of(source, training_mode, seed)
    copies = ties(source, tie, selection)
    graph, inference = read(forms, selection, copies)
    selection = without_copies(selection, copies)
    optimizer = SGD() if optimizer is None else optimizer
    scale = as_loss_scale(loss_scale, precision)

    def planned(names: Sequence[str]) -> Plan:
        chosen = by_parameter(names, optimizer, groups or {})
        return Plan(optimizer, chosen, clip_value, clip_norm, accumulate, precision, scale)

    block, named = as_loss(loss), dict(rename or {})

    given = (graph, block, output, bind or {})

    @cache
    def made(optional: frozenset[tuple[str, TensorType]]) -> TrainingStep:
        types = {name: (type_.dtype, type_.shape) for name, type_ in sorted(optional, key=str)}
        names = {**named, **{name: name for name in types}}
        traced = objective(*given, names, {**(inputs or {}), **types})
        evaluated = traced
        if inference is not graph:
            evaluated = objective(inference, *given[1:], names, {**(inputs or {}), **types})
        return replace(_step(graph, traced, inference, evaluated, selection, planned), tied=copies)

    def variant(arrays: Mapping[str, Any]) -> TrainingStep:
        sizes = bind_sizes([x for x in graph.inputs.values() if x.rank], arrays)
        asked = {name: arrays[name] for name in sorted(left & arrays.keys())}
        types = types_of_optional(*given, inputs or {}, asked, sizes)
        return made(frozenset(types.items()))

    left = optional_inputs(block, {*(bind or {}), *(inputs or {}), *named, *graph.values})
    plain = made(frozenset())
    gradients = GradientGraph(plain.gradients.model, left, lambda x: variant(x).gradients)
    return replace(plain, gradients=gradients, optional=left, variant=variant)


def _step(
    graph: Graph,
    traced: Traced,
    inference: Graph,
    evaluated: Traced,
    selection: Selection,
    planned: Callable[[Sequence[str]], Plan],
) -> TrainingStep:
    selection = with_derivatives(graph, traced.values[0], selection)
    plan, names = planned(selection.trainable), selection.trainable
    traced = replace(traced, values=tuple(map(at_least_single, traced.values)))
    exact = trained = assemble(traced, grad=names)
    scale = None if plan.scale is None else loss_scale_variable()
    narrow, narrow_graph = narrowed(traced, graph, plan.precision)
    if plan.precision is not None or scale is not None:
        seeds = [] if scale is None else [ops.cast(scale, traced.values[0].dtype)]
        trained = assemble(narrow, grad=names, cotangents=seeds)
    tensors = {tensor.name: tensor for tensor in graph.model.graph.initializer}
    moving = {name: numpy_helper.to_array(tensors[name]) for name in traced.aux}
    update = updates(trained, plan, scale, moving)
    parameters = {name: numpy_helper.to_array(tensors[name]) for name in names}
    weights = [node for name, node in graph.weights.items() if name in parameters]
    given = [node for name, node in graph.weights.items() if name in {*parameters, *moving}]
    batch = tuple(node.attrs["name"] for node in exact.inputs
                  if node.attrs["name"] not in graph.weights)  # fmt: skip
    write = Writer(narrow_graph, given, plan.precision)
    outside = write.evaluate(trained)
    if inference is not graph:
        narrow, narrow_graph = narrowed(evaluated, inference, plan.precision)
        outside = Writer(narrow_graph, given, plan.precision).evaluate(assemble(narrow))
    return TrainingStep(
        inference.model,
        GradientGraph(Writer(graph, weights).gradients(exact)),
        write.train(trained, update),
        outside,
        parameters,
        update.start(parameters),
        update.hyper,
        batch,
        selection.left_out,
        plan.main,
        write.accumulate(trained, update) if update.sums else None,
        plan.accumulate,
        labels=(*exact.labels, *exact.derived),
    )
