"""Losses of predicted boxes against true ones, each (..., 4): left, top, right, bottom.

``epsilon`` is added to denominators, as some implementations do. Without it boxes without an
area have the overlap 0, and a term whose denominator is 0 is 0.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from .limits import hypot, safe_div


class _Pair(NamedTuple):
    """What the losses of a pair of boxes are made of."""

    overlap: Any  # intersection over union
    union: Any
    width: Any  # of the smallest box around both
    height: Any


def iou(F: Any, pred: Any, target: Any, epsilon: float = 0.0) -> Any:
    r"""One minus the intersection over the union.

    .. math:: \ell = 1 - \frac{|A \cap B|}{|A \cup B|}

    Inputs: ``pred`` and ``target``, boxes (..., 4). Value: (...).

    Source: Yu, Jiang, Wang, Cao, Huang (2016), ACM Multimedia, without its logarithm.
    """
    return 1 - _pair(F, pred, target, epsilon).overlap


def giou(F: Any, pred: Any, target: Any, epsilon: float = 0.0) -> Any:
    r"""One minus the intersection over the union, and the share of the smallest box C in neither.

    .. math:: \ell = 1 - \frac{|A \cap B|}{|A \cup B|} + \frac{|C| - |A \cup B|}{|C|}

    Inputs: ``pred`` and ``target``, boxes (..., 4). Value: (...), in [0, 2].

    Source: Rezatofighi, Tsoi, Gwak, Sadeghian, Reid, Savarese (2019), CVPR.
    """
    pair = _pair(F, pred, target, epsilon)
    around = pair.width * pair.height
    return 1 - pair.overlap + safe_div(F, around - pair.union, around + epsilon)


def diou(F: Any, pred: Any, target: Any, epsilon: float = 0.0) -> Any:
    r"""One minus the intersection over the union, and the distance of the centers.

    .. math:: \ell = 1 - \frac{|A \cap B|}{|A \cup B|} + \frac{\rho^2(a, b)}{c^2}

    The distance is relative to c, the diagonal of the smallest box around both.

    Inputs: ``pred`` and ``target``, boxes (..., 4). Value: (...), in [0, 2].

    Source: Zheng, Wang, Liu, Li, Ye, Ren (2020), AAAI.
    """
    return _distance(F, pred, target, _pair(F, pred, target, epsilon), epsilon)


def ciou(F: Any, pred: Any, target: Any, epsilon: float = 0.0) -> Any:
    r"""One minus the intersection over the union, and distances of centers and aspect ratios.

    .. math:: \ell = 1 - \frac{|A \cap B|}{|A \cup B|} + \frac{\rho^2(a, b)}{c^2} + \alpha v,
        \quad v = \frac{4}{\pi^2} \left(\arctan \frac{w^*}{h^*} - \arctan \frac{w}{h}\right)^2,
        \quad \alpha = \frac{v}{1 - IoU + v}

    As in its source, ``alpha`` is a constant to the gradient.

    Inputs: ``pred`` and ``target``, boxes (..., 4). Value: (...).

    Source: Zheng, Wang, Liu, Li, Ye, Ren (2020), AAAI.
    """
    pair = _pair(F, pred, target, epsilon)
    (width, height), (true_width, true_height) = _size(F, pred), _size(F, target)
    turn = true_width * height - width * true_height
    along = true_height * height + true_width * width
    unlike = F.square(_angle(F, turn, along)) * (4 / math.pi**2)
    alpha = F.stop_gradient(safe_div(F, unlike, 1 - pair.overlap + unlike + epsilon))
    return _distance(F, pred, target, pair, epsilon) + alpha * unlike


def _corners(F: Any, boxes: Any) -> list[Any]:
    """Left, top, right and bottom, each (...)."""
    last = len(boxes.shape) - 1
    parts = [F.slice_axis(boxes, axis=last, begin=i, end=i + 1) for i in range(4)]
    return [F.squeeze(part, axis=last) if last else part for part in parts]


def _size(F: Any, boxes: Any) -> tuple[Any, Any]:
    left, top, right, bottom = _corners(F, boxes)
    return right - left, bottom - top


def _pair(F: Any, pred: Any, target: Any, epsilon: Any) -> _Pair:
    (left, top, right, bottom), other = _corners(F, pred), _corners(F, target)
    width, height = _size(F, pred)
    true_width, true_height = _size(F, target)
    wide = F.minimum(right, other[2]) - F.maximum(left, other[0])
    high = F.minimum(bottom, other[3]) - F.maximum(top, other[1])
    both = F.relu(wide) * F.relu(high)
    union = width * height + true_width * true_height - both
    return _Pair(
        safe_div(F, both, union + epsilon),
        union,
        F.maximum(right, other[2]) - F.minimum(left, other[0]),
        F.maximum(bottom, other[3]) - F.minimum(top, other[1]),
    )


def _distance(F: Any, pred: Any, target: Any, pair: _Pair, epsilon: Any) -> Any:
    (left, top, right, bottom), other = _corners(F, pred), _corners(F, target)
    across = (left + right - other[0] - other[2]) / 2
    down = (top + bottom - other[1] - other[3]) / 2
    diagonal = F.square(pair.width) + F.square(pair.height)
    apart = safe_div(F, F.square(across) + F.square(down), diagonal + epsilon)
    return 1 - pair.overlap + apart


def _angle(F: Any, y: Any, x: Any) -> Any:
    """The angle of the vector (x, y), x not negative: by half of it, so that x may be 0."""
    return 2 * F.arctan(safe_div(F, y, hypot(F, x, y) + x))
