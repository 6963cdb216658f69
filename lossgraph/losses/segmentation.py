"""Losses of how well a predicted set overlaps with a labelled one.

``prob`` are probabilities in [0, 1] of belonging to the set, ``label`` 0 and 1 (or between). What
has the label ``ignore_index`` (void, 255 in many data sets) is left out, as if it were not there.
"""

from __future__ import annotations

from typing import Any

from ..authoring.options import integer, require_above
from ..authoring.shapes import require_rank_from
from ..errors import InputError
from ..symbolic.ctc import in_range
from .axes import without
from .limits import safe_div


def tversky(
    F: Any,
    prob: Any,
    label: Any,
    alpha: float = 0.3,
    beta: float = 0.7,
    smooth: float = 0.0,
    batch_axes: int = 1,
    ignore_index: int | None = None,
) -> Any:
    r"""One minus the overlap, with weights for what is found wrongly and what is missed.

    .. math:: \ell = 1 - \frac{\sum p g + s}{\sum p g + \alpha \sum p (1 - g)
        + \beta \sum (1 - p) g + s}

    Halves for ``alpha`` and ``beta`` are the Dice loss, ones the Jaccard loss. Nothing found
    where there is nothing to find is a perfect overlap, its gradient 0.

    Inputs: ``prob`` and ``label``, of one shape. Value: the first ``batch_axes`` axes of it, which
    are not summed over: 1 for each sample, 2 for each class too. Elements with the label
    ``ignore_index`` are left out.

    Source: Salehi, Erdogmus, Gholipour (2017), MLMI.
    """
    require_rank_from("prob", prob.shape, integer("batch_axes", batch_axes, least=0))
    label, prob = without(F, label, ignore_index, prob)
    kept = tuple(range(batch_axes))
    hit, wrong, missed = (
        F.sum(part, axis=kept, exclude=True)
        for part in (prob * label, prob * (1 - label), (1 - prob) * label)
    )
    errors = alpha * wrong + beta * missed
    return safe_div(F, errors, hit + errors + smooth)


def focal_tversky(
    F: Any,
    prob: Any,
    label: Any,
    alpha: float = 0.7,
    beta: float = 0.3,
    gamma: float = 4 / 3,
    smooth: float = 0.0,
    batch_axes: int = 1,
    ignore_index: int | None = None,
) -> Any:
    r"""A power of the Tversky loss, which turns to what overlaps badly.

    .. math:: \ell = \left(1 - \frac{\sum p g + s}{\sum p g + \alpha \sum (1 - p) g
        + \beta \sum p (1 - g) + s}\right)^{1/\gamma}

    As in its source ``alpha`` weighs what is missed, ``beta`` what is found wrongly: the other
    way round than in ``tversky``. The slope at a perfect overlap is infinite for ``gamma`` > 1.

    Inputs and value: those of ``tversky``.

    Raises:
        InputError: for a number ``gamma`` that is not positive.

    Source: Abraham, Khan (2019), ISBI.
    """
    require_above("gamma", gamma, 0)
    missed = tversky(F, prob, label, beta, alpha, smooth, batch_axes, ignore_index)
    return F.power(missed, 1 / gamma)


def jaccard(
    F: Any,
    prob: Any,
    label: Any,
    smooth: float = 0.0,
    batch_axes: int = 1,
    ignore_index: int | None = None,
) -> Any:
    r"""One minus the soft intersection over the union.

    .. math:: \ell = 1 - \frac{\sum p g + s}{\sum p + \sum g - \sum p g + s}

    Inputs and value: those of ``tversky``.

    Source: Rahman, Wang (2016), ISVC.
    """
    return tversky(F, prob, label, 1.0, 1.0, smooth, batch_axes, ignore_index)


def lovasz_hinge(F: Any, logits: Any, label: Any, ignore_index: int | None = None) -> Any:
    r"""The Lovász extension of the Jaccard loss, of hinge errors: binary segmentation.

    .. math:: \ell = \overline{\Delta_J}(m), \quad m_i = \max(0, 1 - x_i (2 g_i - 1))

    Inputs: ``logits`` and ``label`` (0 or 1), (N, ...). Value: (N,), each sample an image.
    Elements with the label ``ignore_index`` are left out.

    Source: Berman, Triki, Blaschko (2018), CVPR.
    """
    if ignore_index is not None:  # an error below 0 comes after all that count, and adds nothing
        void = label == integer("ignore_index", ignore_index)
        label, logits = without(F, label, ignore_index, logits)
        logits = F.where(void, F.zeros_like(logits) - 2, logits)
    errors = 1 - logits * (2 * label - 1)
    order, weights = _lovasz(F, F.reshape(errors, (0, -1)), F.reshape(label, (0, -1)))
    return F.sum(F.relu(order) * weights, axis=-1)


def lovasz_softmax(
    F: Any, prob: Any, label: Any, classes: str = "present", ignore_index: int | None = None
) -> Any:
    r"""The Lovász extension of the Jaccard loss of each class, averaged over classes.

    .. math:: \ell = \operatorname{mean}_c \overline{\Delta_J}(m^c), \quad m^c_i = |[y_i = c] -
        p_{c i}|

    Inputs: ``prob``, probabilities (N, C, ...); ``label``, classes (N, ...). Value: (N,), each
    sample an image; the mean is over the ``present`` classes in its label, or over ``all``.
    Elements with the label ``ignore_index``, which may be no class, are left out.

    Raises:
        InputError: for other ``classes``.

    Source: Berman, Triki, Blaschko (2018), CVPR.
    """
    if classes not in ("present", "all"):
        raise InputError(f"classes: expected 'present' or 'all', got {classes!r}")
    label, prob = F.reshape(label, (0, -1)), F.reshape(prob, (0, 0, -1))
    there = F.ones_like(label)
    label, there = without(F, label, ignore_index, there)
    known = 1 + F.sum(in_range(F, label, prob.shape[1], prob) - 1, axis=1)
    own = F.swapaxes(F.one_hot(label, prob.shape[1], dtype=prob.dtype), 1, 2)
    errors = F.abs(own - prob)
    if ignore_index is not None:  # an error of 0 adds nothing
        there = F.broadcast_like(F.expand_dims(there, axis=1), errors) != 0
        own, errors = (F.where(there, x, F.zeros_like(x)) for x in (own, errors))
    order, weights = _lovasz(F, errors, own)
    counts = F.max(own, axis=2) if classes == "present" else F.ones_like(F.max(own, axis=2))
    total = F.sum(F.sum(order * weights, axis=2) * counts, axis=1)
    return known * total / F.maximum(F.sum(counts, axis=1), 1.0)


def _lovasz(F: Any, errors: Any, own: Any) -> tuple[Any, Any]:
    """Errors in falling order along the last axis, and the increment of the Jaccard loss at each.

    The differences of the ratios are written out, so that nothing cancels.
    """
    values, order = F.topk(errors, axis=-1, k=0, ret_typ="both", dtype="int64")
    own = F.take_along_axis(F.cast(own, dtype=errors.dtype), order, axis=-1)
    total = F.sum(own, axis=-1, keepdims=True)
    intersection = total - F.cumsum(own, axis=-1)
    union = total + F.cumsum(1 - own, axis=-1)
    before = union - (1 - own)
    nothing = before == 0  # no such class, and this the first: all of the loss at once
    before = F.where(nothing, F.ones_like(before), before)
    growth = (own * union + (1 - own) * intersection) / (union * before)
    return values, F.where(nothing, F.ones_like(growth), growth)
