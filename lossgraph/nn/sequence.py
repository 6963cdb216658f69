"""The losses of ``torch.nn`` for sequences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..authoring.annotations import Label, Length
from ..authoring.options import integer
from ..authoring.shapes import require_samples
from ..errors import InputError
from ..runtime.arrays import can_read, stand_in, to_numpy
from ..runtime.input_checks import check_labels
from ..symbolic import ctc
from .base import Loss

__all__ = ["CTCLoss"]

_EXPECTED = (
    "CTCLoss takes log_probs (T, N, C) with targets (N, S) or (sum of the lengths,), "
    "or (T, C) with (S,), got {} and {}"
)


class CTCLoss(Loss):
    r"""Connectionist temporal classification: labels against unaligned steps.

    .. math:: \ell = -\log \sum_{\pi : B(\pi) = y} \prod_t p_t(\pi_t)

    A target without an alignment has the gradient 0.

    Inputs: ``log_probs``, log-probabilities (T, N, C), or (T, C) without a batch; ``targets``,
    classes (N, S), or those of all samples one after the other, (sum of the lengths,);
    ``input_lengths`` and ``target_lengths``, (N,) or (). Value: (N,) or () without a reduction,
    else (). The gradient by ``log_probs`` is the derivative, which torch's own is only where a
    ``log_softmax`` comes before.

    Args:
        blank: the class of the blank.
        reduction: ``mean``, which divides each loss by its target's length (at least 1) first,
            ``sum`` or ``none``.
        zero_infinity: whether a target without an alignment has the loss 0, rather than infinity.

    Source: Graves et al. (2006), ICML.
    """

    def __init__(
        self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False
    ) -> None:
        super().__init__(reduction)
        self.blank = integer("blank", blank, least=0)
        self.zero_infinity = bool(zero_infinity)

    def prepare(self, arrays: Mapping[str, Any]) -> dict[str, Any]:
        """Split concatenated targets into rows, so that the graph need not guess their lengths."""
        given = dict(arrays)
        found = [given.get(name) for name in ("log_probs", "targets", "target_lengths")]
        if any(array is None or not can_read(array) for array in found[1:]):
            return given
        log_probs = stand_in("log_probs", found[0])
        targets, lengths = map(to_numpy, ("targets", "target_lengths"), found[1:])
        if log_probs.ndim == 3 and targets.ndim == lengths.ndim == 1:
            given["targets"] = _rows(targets, lengths, log_probs.shape[2])
        return given

    def check_shapes(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Check that the blank is a class, and that there is one of everything for each sample."""
        log_probs, targets = shapes["log_probs"], shapes["targets"]
        if len(log_probs) not in (2, 3) or len(targets) not in (1, len(log_probs) - 1):
            raise InputError(_EXPECTED.format(log_probs, targets))
        if self.blank >= log_probs[-1]:
            raise InputError(f"blank: {self.blank} is not one of the {log_probs[-1]} classes")
        samples = log_probs[1:-1]
        lengths = {name: shapes[name] for name in ("input_lengths", "target_lengths")}
        if not samples:  # each of them () or (1,)
            lengths = {name: shape for name, shape in lengths.items() if shape != (1,)}
        rows = {"targets": targets[:-1]} if len(targets) == 2 else {}
        require_samples(samples, rows | lengths)

    def hybrid_forward(
        self,
        F: Any,
        log_probs: Any,
        targets: Label,
        input_lengths: Length,
        target_lengths: Length,
    ) -> Any:
        batched = len(log_probs.shape) == 3
        if not batched:
            log_probs, targets = self._as_batch(F, log_probs, targets)
        steps, _, classes = log_probs.shape
        lengths, ends = (F.reshape(x, (-1,)) for x in (target_lengths, input_lengths))
        if len(targets.shape) == 1:
            targets = _unpacked(F, targets, lengths)
        labels, known = ctc.checked_labels(F, targets, lengths, classes, log_probs)
        known = known * ctc.in_range(F, ends, steps + 1, log_probs)
        known = F.broadcast_mul(known, ctc.in_range(F, F.array([self.blank]), classes, log_probs))
        likelihood = known * ctc.ctc_log_likelihood(
            F, F.swapaxes(log_probs, 0, 1), labels, lengths, self.blank, ends
        )
        nothing = F.zeros_like(likelihood)
        without = nothing if self.zero_infinity else nothing + np.inf
        loss = F.where(likelihood <= ctc.LOG_ZERO / 2, without, -likelihood)
        if self.reduction == "mean":
            loss = loss / F.cast(F.maximum(lengths, 1), log_probs.dtype)
        return self._reduce(F, loss) if batched or self.reduction != "none" else F.scalar(loss)

    def _as_batch(self, F: Any, log_probs: Any, targets: Any) -> tuple[Any, Any]:
        if len(log_probs.shape) != 2 or len(targets.shape) != 1:
            raise InputError(_EXPECTED.format(log_probs.shape, targets.shape))
        return F.expand_dims(log_probs, axis=1), F.expand_dims(targets, axis=0)


def _rows(targets: Any, lengths: Any, classes: int) -> Any:
    """Concatenated targets as rows."""
    check_labels("targets", targets, classes, {})
    if (lengths < 0).any() or lengths.sum() != len(targets):
        raise InputError(
            f"target_lengths: their sum is {lengths.sum()}, but there are {len(targets)} targets"
        )
    rows = np.zeros((len(lengths), int(lengths.max(initial=0))), targets.dtype)
    rows[np.arange(rows.shape[1]) < lengths[:, None]] = targets
    return rows


def _unpacked(F: Any, targets: Any, lengths: Any) -> Any:
    """The same inside a graph; each row is as long as all targets together."""
    lengths = F.cast(lengths, "int64")
    ends = F.reshape(F.cumsum(lengths, axis=0), (-1, 1))
    places = F.reshape(F.arange(targets.shape[0], dtype="int64"), (1, -1))
    return F.take(targets, F.broadcast_add(ends - F.reshape(lengths, (-1, 1)), places))
