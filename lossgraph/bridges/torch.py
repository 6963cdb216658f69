"""PyTorch's autograd through a compiled loss: one ``autograd.Function`` for all of them.

The forward pass runs the graph of value and gradients, so that the backward pass has little to do:
where each value is weighed alike (``loss.mean().backward()``), or each sample of its own
(``(loss * weights).sum()``), the gradients that are there are scaled. Elsewhere the backward pass
runs the loss's pullback. With ``create_graph=True`` it runs that through autograd in its turn, so
derivatives of any order are those of the loss's own programs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..compiler.program import Program
from ..errors import GradientError
from . import Differentiable, check_gradients, pullback_inputs


def differentiates(values: Collection[Any]) -> bool:
    """Whether autograd records what is done with these values.

    Raises:
        GradientError: for tensors of ``torch.func``, and for those that carry a tangent.
    """
    tensors = [value for value in values if isinstance(value, Tensor)]
    if any(is_wrapped(tensor) or _has_tangent(tensor) for tensor in tensors):
        raise GradientError(
            "a loss takes part in PyTorch's autograd (backward, torch.autograd.grad), but not in "
            "torch.func's transformations and forward mode: use torch.autograd.grad, with "
            "create_graph=True for higher derivatives"
        )
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)


def call(compiled: Differentiable, arrays: Mapping[str, Any]) -> Any:
    """The answer of a call, which autograd can differentiate.

    Raises:
        GradientError: if an input requires a gradient and can have none: a class label, a length.
    """
    tensors = {name: value for name, value in arrays.items() if isinstance(value, Tensor)}
    others = {**arrays, **dict.fromkeys(tensors)}  # in the order of the inputs
    wrt = tuple(name for name, tensor in tensors.items() if tensor.requires_grad)
    check_gradients(compiled, wrt)
    return compiled.answer(_Loss.apply(compiled, others, tuple(tensors), wrt, *tensors.values()))


class _Loss(torch.autograd.Function):  # type: ignore[misc, unused-ignore]
    """The outputs of a compiled loss, from the tensors among its inputs."""

    @staticmethod
    def forward(
        ctx: Any,
        compiled: Differentiable,
        others: Mapping[str, Any],
        names: tuple[str, ...],
        wrt: tuple[str, ...],
        *tensors: Tensor,
    ) -> tuple[Tensor, ...]:
        arrays = {**others, **dict(zip(names, tensors, strict=True))}
        ahead = _worth_computing_ahead(compiled, arrays, wrt)
        source = compiled.with_gradients(wrt) if ahead else compiled
        found = source.outputs(arrays, like=tensors[0])
        count = len(compiled.program.outputs)
        outputs, gradients = tuple(found[:count]), found[count:]
        ctx.loss, ctx.others, ctx.names, ctx.wrt = compiled, others, names, wrt
        ctx.save_for_backward(*tensors, *gradients)
        ctx.mark_non_differentiable(*_constant(compiled, outputs))
        return outputs

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
        count = len(ctx.names)
        tensors, gradients = ctx.saved_tensors[:count], ctx.saved_tensors[count:]
        weights = None
        if gradients and not torch.is_grad_enabled():
            weights = _weights(ctx.loss.with_gradients(ctx.wrt).program, cotangents[0])
        if weights is None:
            arrays = {**ctx.others, **dict(zip(ctx.names, tensors, strict=True))}
            gradients = _pulled_back(ctx.loss, arrays, cotangents, ctx.wrt)
        else:
            gradients = [_scaled(gradient, weights) for gradient in gradients]
        by_name = dict(zip(ctx.wrt, gradients, strict=True))
        return (None, None, None, None, *(by_name.get(name) for name in ctx.names))


def _worth_computing_ahead(
    compiled: Differentiable, arrays: Mapping[str, Any], wrt: Sequence[str]
) -> bool:
    """Whether the gradients of the sum may be all that the backward pass needs: of one value.

    In float16 they may underflow where a loss scale that follows would have lifted them, so there
    the cotangent goes into the graph.
    """
    value, *others = compiled.program.typed_outputs
    alone = value.kind == "value" and all(output.kind == "auxiliary" for output in others)
    return alone and all(arrays[name].dtype is not torch.float16 for name in wrt)


def _constant(compiled: Differentiable, outputs: Sequence[Tensor]) -> list[Tensor]:
    """The outputs without a derivative: auxiliary ones, and integers."""
    pairs = zip(compiled.program.typed_outputs, outputs, strict=True)
    return [out for typed, out in pairs if not typed.is_differentiable]


def _weights(program: Program, cotangent: Tensor) -> Tensor | None:
    """What the gradients of the value's sum are to be multiplied by; None if that is not enough.

    What follows a loss mostly weighs all its values alike, by one number that is expanded.
    """
    if cotangent.numel() == 1 or (cotangent.numel() and not any(cotangent.stride())):
        return cotangent.reshape(-1)[0]
    return cotangent if program.has_independent_samples else None


def _scaled(gradient: Tensor, weights: Tensor) -> Tensor:
    """Gradients by sample, or all of them, times weights."""
    return gradient * weights.reshape(weights.shape + (1,) * (gradient.ndim - weights.ndim))


def _pulled_back(
    compiled: Differentiable,
    arrays: Mapping[str, Any],
    cotangents: Sequence[Tensor],
    wrt: tuple[str, ...],
) -> Sequence[Tensor]:
    """The cotangents of the inputs, which autograd can differentiate if it records."""
    pullback = compiled.pullback(wrt)
    pulled: Sequence[Tensor] = pullback.run(pullback_inputs(compiled, pullback, arrays, cotangents))
    return pulled


def is_wrapped(tensor: Tensor) -> bool:
    """Whether a tensor stands for others in a transformation of ``torch.func``, without numbers."""
    functorch = getattr(torch._C, "_functorch", None)  # there is no public name for it
    return functorch is not None and functorch.is_functorch_wrapped_tensor(tensor)


def _has_tangent(tensor: Tensor) -> bool:
    return torch.autograd.forward_ad.unpack_dual(tensor).tangent is not None
