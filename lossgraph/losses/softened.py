"""Losses of whole distributions of logits: distillation, and the size of the partition."""

from __future__ import annotations

from typing import Any

from ..authoring.options import require_above
from ..authoring.shapes import require_shape
from .limits import softmax_divergence


def distillation(F: Any, student: Any, teacher: Any, temperature: float = 2.0) -> Any:
    r"""The divergence of a student's from a teacher's softened distribution.

    .. math:: \ell = T^2 D_{KL}\left(\operatorname{softmax}(t / T) \,\|\,
        \operatorname{softmax}(s / T)\right)

    ``T^2`` keeps the gradients of one size for all temperatures. By the student this is the
    source's cross-entropy with soft targets, from which it differs by the teacher's entropy; mix
    it with the labels' cross-entropy in a ``weighted_sum``. Classes that the teacher rules out
    (logit ``-inf``) add nothing.

    ``student``, ``teacher``: logits (..., C). Value: (...).

    Source: Hinton, Vinyals and Dean (2015), arXiv:1503.02531.
    """
    require_above("temperature", temperature, 0)
    require_shape("teacher", teacher.shape, student.shape)
    wanted, found = teacher / temperature, student / temperature
    return F.sum(softmax_divergence(F, wanted, found, -1, temperature), axis=-1)


def z_loss(F: Any, logits: Any) -> Any:
    r"""The squared logarithm of the softmax's partition function, which keeps logits from drifting.

    .. math:: \ell = \left(\log \sum_c e^{x_c}\right)^2

    Added to cross-entropy with a small weight (1e-4 in PaLM, 1e-3 for routers).

    ``logits``: (..., C). Value: (...).

    Source: Chowdhery et al. (2022), arXiv:2204.02311; Zoph et al. (2022), arXiv:2202.08906.
    """
    return F.square(F.logsumexp(logits, axis=-1))
