"""The models of a training step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import onnx

from ..compiler.outputs import value_outputs
from ..compiler.program import Program, finished
from ..importer.graph import Graph
from ..importer.writing import finish, writable_opset
from ..ir.expr import Expr
from ..lowering.lower import lower_wide
from ..lowering.validate import check
from ..passes.mixed_precision import widen
from .updates import Updates, loss_scale_variable

_BFLOAT16_SINCE = 22  # the opset of Conv, MaxPool and others


@dataclass(frozen=True)
class Writer:
    """Writes the models of a step.

    Attributes:
        graph: the model that is trained.
        weights: its parameters, which are inputs.
        precision: the dtype of the operations of 16 bits that are meant to compute so.
    """

    graph: Graph
    weights: Sequence[Expr]
    precision: str | None = None

    def gradients(self, program: Program) -> onnx.ModelProto:
        """The loss and its gradients, of the batch and the parameters."""
        outputs = {o.name: o.expr for o in program.typed_outputs if o.kind != "auxiliary"}
        return self._model(program.inputs, outputs)

    def train(self, program: Program, updates: Updates) -> onnx.ModelProto:
        """The loss, and what follows a step, of the batch, the parameters and the state."""
        inputs = [*program.inputs, *updates.inputs]
        return self._model(inputs, {**_loss(program), **_following(updates.following)})

    def accumulate(self, program: Program, updates: Updates) -> onnx.ModelProto:
        """The loss, and sums of gradients with those of a batch, of the batch and the sums."""
        inputs = [*program.inputs, *updates.summing]
        return self._model(inputs, {**_loss(program), **_following(updates.each_batch)})

    def evaluate(self, program: Program) -> onnx.ModelProto:
        """The loss and the outputs of the model."""
        inputs = [node for node in program.inputs if node is not loss_scale_variable()]
        loss = _loss(program)
        others = {name: x for name, x in self.graph.outputs.items() if name not in loss}
        return self._model(inputs, {**loss, **others})

    @property
    def _opset(self) -> int:
        """The model's own, or one whose operators have the precision."""
        own = writable_opset(self.graph)
        least = _BFLOAT16_SINCE if self.precision == "bfloat16" else own
        return writable_opset(self.graph, max(own, least))

    def _model(self, inputs: Sequence[Expr], outputs: Mapping[str, Expr]) -> onnx.ModelProto:
        exprs = widen(list(outputs.values()), narrow=self.precision is not None)
        model = lower_wide(
            list(dict.fromkeys(inputs)),
            dict(zip(outputs, exprs, strict=True)),
            opset=self._opset,
            name=self.graph.model.graph.name,
        )
        finish(model, self.graph, {node.attrs["name"] for node in self.weights})
        check(model, {name: value.type for name, value in outputs.items()})
        return model


def _loss(program: Program) -> dict[str, Expr]:
    return {name: program.outputs[name] for name in program.values}


def _following(values: Mapping[str, Expr]) -> dict[str, Expr]:
    roots = finished(value_outputs(list(values.values()), several=True))
    return {f"next_{name}": output.expr for name, output in zip(values, roots, strict=True)}
