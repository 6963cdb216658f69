"""Losses of predicted boxes against true ones, each (..., 4): left, top, right, bottom.

``epsilon`` is added to denominators, as some implementations do. Without it a term whose
denominator is 0 is 0, and boxes without an area overlap only where they are the same.

A box whose right is left of its left, or whose bottom is above its top, is empty: it has no area
and overlaps with nothing, and the smallest box around it has both its corners.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from ..authoring.options import is_zero
from .limits import finite, hypot, safe_div


class _Pair(NamedTuple):
    """What the losses of a pair of boxes are made of, in units in which no area overflows."""

    apart: Any  # one minus the intersection over the union
    union: Any
    around: Any  # the area of the smallest box around both
    epsilon: Any


def iou(F: Any, pred: Any, target: Any, epsilon: float = 0.0) -> Any:
    r"""One minus the intersection over the union.

    .. math:: \ell = 1 - \frac{|A \cap B|}{|A \cup B|}

    Inputs: ``pred`` and ``target``, boxes (..., 4). Value: (...), in [0, 1].

    Source: Yu, Jiang, Wang, Cao, Huang (2016), ACM Multimedia, without its logarithm.
    """
    return _pair(F, pred, target, epsilon).apart


def giou(F: Any, pred: Any, target: Any, epsilon: float = 0.0) -> Any:
    r"""One minus the intersection over the union, and the share of the smallest box C in neither.

    .. math:: \ell = 1 - \frac{|A \cap B|}{|A \cup B|} + \frac{|C| - |A \cup B|}{|C|}

    Inputs: ``pred`` and ``target``, boxes (..., 4). Value: (...), in [0, 2].

    Source: Rezatofighi, Tsoi, Gwak, Sadeghian, Reid, Savarese (2019), CVPR.
    """
    pair = _pair(F, pred, target, epsilon)
    beside = F.relu(pair.around - pair.union)  # 0 but for rounding where one box holds the other
    return pair.apart + safe_div(F, beside, pair.around + pair.epsilon)


def diou(F: Any, pred: Any, target: Any, epsilon: float = 0.0) -> Any:
    r"""One minus the intersection over the union, and the distance of the centers.

    .. math:: \ell = 1 - \frac{|A \cap B|}{|A \cup B|} + \frac{\rho^2(a, b)}{c^2}

    The distance is relative to c, the diagonal of the smallest box around both.

    Inputs: ``pred`` and ``target``, boxes (..., 4). Value: (...), in [0, 2].

    Source: Zheng, Wang, Liu, Li, Ye, Ren (2020), AAAI.
    """
    return _pair(F, pred, target, epsilon).apart + _distance(F, pred, target, epsilon)


def ciou(F: Any, pred: Any, target: Any, epsilon: float = 0.0) -> Any:
    r"""One minus the intersection over the union, and distances of centers and aspect ratios.

    .. math:: \ell = 1 - \frac{|A \cap B|}{|A \cup B|} + \frac{\rho^2(a, b)}{c^2} + \alpha v,
        \quad v = \frac{4}{\pi^2} \left(\arctan \frac{w^*}{h^*} - \arctan \frac{w}{h}\right)^2,
        \quad \alpha = \frac{v}{1 - IoU + v}

    As in its source, ``alpha`` is a constant to the gradient.

    Inputs: ``pred`` and ``target``, boxes (..., 4). Value: (...), in [0, 3].

    Source: Zheng, Wang, Liu, Li, Ye, Ren (2020), AAAI.
    """
    apart = _pair(F, pred, target, epsilon).apart
    unit = _unit(F, F.maximum(*_extent(F, pred, target)))
    (width, height), (true_width, true_height) = (
        [side / unit for side in _size(F, boxes)] for boxes in (pred, target)
    )
    turn = true_width * height - width * true_height
    along = true_height * height + true_width * width
    unlike = F.square(_angle(F, turn, along)) * (4 / math.pi**2)
    alpha = F.stop_gradient(safe_div(F, unlike, apart + unlike + epsilon))
    return apart + _distance(F, pred, target, epsilon) + alpha * unlike


def _corners(F: Any, boxes: Any) -> list[Any]:
    """Left, top, right and bottom, each (...)."""
    last = len(boxes.shape) - 1
    parts = [F.slice_axis(boxes, axis=last, begin=i, end=i + 1) for i in range(4)]
    return [F.squeeze(part, axis=last) if last else part for part in parts]


def _size(F: Any, boxes: Any) -> tuple[Any, Any]:
    """Width and height, 0 where the corners are reversed."""
    left, top, right, bottom = _corners(F, boxes)
    return F.relu(right - left), F.relu(bottom - top)


def _extent(F: Any, pred: Any, target: Any) -> tuple[Any, Any]:
    """Width and height of the smallest box around all corners."""
    ours, others = _outer(F, pred), _outer(F, target)
    width, height = (
        F.maximum(ours[i + 2], others[i + 2]) - F.minimum(ours[i], others[i]) for i in (0, 1)
    )
    return width, height


def _outer(F: Any, boxes: Any) -> list[Any]:
    """The corners in their order; a side of length 0 has its own two ends still."""
    corners = _corners(F, boxes)
    for i in (0, 1):
        low, high = corners[i], corners[i + 2]
        reversed_ = high < low
        corners[i], corners[i + 2] = F.where(reversed_, high, low), F.where(reversed_, low, high)
    return corners


def _unit(F: Any, size: Any) -> Any:
    """A size to measure in, which cancels; 1 where there is none."""
    size = finite(F, F.stop_gradient(size))
    return F.where(size == 0, F.ones_like(size), size)


def _pair(F: Any, pred: Any, target: Any, epsilon: Any) -> _Pair:
    (left, top, right, bottom), other = _corners(F, pred), _corners(F, target)
    extent = _extent(F, pred, target)
    across, down = (_unit(F, size) for size in extent)
    wide = F.relu(F.minimum(right, other[2]) - F.maximum(left, other[0])) / across
    high = F.relu(F.minimum(bottom, other[3]) - F.maximum(top, other[1])) / down
    areas = [(w / across) * (h / down) for w, h in (_size(F, boxes) for boxes in (pred, target))]
    both = wide * high
    # neither is negative, as rounding keeps what is smaller
    beside = (areas[0] - both) + (areas[1] - both)
    union = beside + both
    if not is_zero(epsilon):
        epsilon = epsilon / across / down
    whole = union + epsilon
    last = len(pred.shape) - 1
    same = F.min(pred == target, axis=last, keepdims=True)
    same = F.squeeze(same, axis=last) if last else same
    apart = F.where(whole == 0, 1 - same, safe_div(F, beside + epsilon, whole))
    return _Pair(apart, union, (extent[0] / across) * (extent[1] / down), epsilon)


def _distance(F: Any, pred: Any, target: Any, epsilon: Any) -> Any:
    """The squared distance of the centers, relative to the diagonal around both."""
    (left, top, right, bottom), other = _corners(F, pred), _corners(F, target)
    width, height = _extent(F, pred, target)
    unit = _unit(F, F.maximum(width, height))
    across = ((left - other[0]) / unit + (right - other[2]) / unit) / 2
    down = ((top - other[1]) / unit + (bottom - other[3]) / unit) / 2
    diagonal = F.square(width / unit) + F.square(height / unit)
    apart = F.square(across) + F.square(down)
    return safe_div(F, apart, diagonal if is_zero(epsilon) else diagonal + epsilon / unit / unit)


def _angle(F: Any, y: Any, x: Any) -> Any:
    """The angle of the vector (x, y), x not negative: by half of it, so that x may be 0."""
    return 2 * F.arctan(safe_div(F, y, hypot(F, x, y) + x))
