"""Gluon's loss of sequences: labels against unaligned steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...authoring.annotations import Label
from ...authoring.options import one_of
from ...authoring.shapes import require_samples, shown
from ...errors import InputError
from ...symbolic import ctc
from .base import Loss, truncated


class CTCLoss(Loss):
    r"""Connectionist temporal classification: labels against unaligned steps.

    .. math:: \ell = -w \log \sum_{\pi : B(\pi) = y} \prod_t p_t(\pi_t),
        \quad p_t = \operatorname{softmax}(x_t)

    The blank is the last class, and no label; where lengths are given it is taken for one, as MXNet
    does. A label without an alignment (more labels than steps) has loss 0 and gradient 0. Fractions
    of labels are cut off, as MXNet does.

    Inputs: ``pred``, logits (N, T, C), or (T, N, C) with ``layout="TNC"``; ``label``, classes
    (N, L), or (L, N) with ``label_layout="TN"``, which end at the first -1 where
    ``label_lengths`` are not given; ``pred_lengths``, ``label_lengths``, (N,);
    ``sample_weight``. Value: (N,).

    Args:
        layout: the axes of ``pred``, ``NTC`` or ``TNC``.
        label_layout: the axes of ``label``, ``NT`` or ``TN``.
        weight: a number that multiplies the loss, or None.
        **kwargs: Gluon's ``prefix`` and ``params``, which have no effect.

    Source: Graves et al. (2006), ICML.
    """

    def __init__(
        self,
        layout: str = "NTC",
        label_layout: str = "NT",
        weight: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(weight, 0, **kwargs)
        self._layout = one_of("layout", layout, ("NTC", "TNC"))
        self._label_layout = one_of("label_layout", label_layout, ("NT", "TN"))

    def check_shapes(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        if not {"pred", "label"} <= set(shapes):
            return
        pred, label = shapes["pred"], shapes["label"]
        _require_ranks(pred, label)
        samples = (pred[self._layout.find("N")],)
        lengths = {n: shapes[n] for n in ("pred_lengths", "label_lengths") if n in shapes}
        per_sample = {"label": (label[self._label_layout.find("N")],), **lengths}
        require_samples(samples, per_sample)

    def hybrid_forward(
        self,
        F: Any,
        pred: Any,
        label: Label,
        pred_lengths: Label = None,
        label_lengths: Label = None,
        sample_weight: Any = None,
    ) -> Any:
        _require_ranks(pred.shape, label.shape)
        if self._layout == "TNC":
            pred = F.swapaxes(pred, 0, 1)
        if self._label_layout == "TN":
            label = F.swapaxes(label, 0, 1)
        label, classes = truncated(F, label), pred.shape[2]
        blank = classes - 1
        if pred_lengths is None and label_lengths is None:
            classes = blank  # MXNet's own tests have the blank among labels where lengths are given
        lengths = ctc.label_lengths_of(F, label, label_lengths, -1)
        in_place = self._label_layout == "TN"
        labels, known = ctc.checked_labels(F, label, lengths, classes, pred, in_place)
        loss = ctc.loss_of_known(F, pred, labels, known, lengths, blank, pred_lengths)
        return self._weigh(F, loss, sample_weight)


def _require_ranks(pred: Sequence[Any], label: Sequence[Any]) -> None:
    if len(pred) != 3 or len(label) != 2:
        raise InputError(
            f"CTCLoss takes pred of rank 3 and label of rank 2, got the shapes {shown(pred)} and "
            f"{shown(label)}"
        )
