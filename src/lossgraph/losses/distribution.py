"""Losses between distributions."""

from __future__ import annotations

from typing import Any

KL_EPSILON = 1e-12  # of Gluon's formula


def kl_divergence(F: Any, log_pred: Any, label: Any) -> Any:
    r"""Each class's part of the divergence of a predicted from a true distribution.

    .. math:: \ell_c = y_c (\log(y_c + \epsilon) - \log p_c), \quad \epsilon = 10^{-12}

    A class of probability 0 adds nothing, whatever was predicted for it.
    """
    return F.masked_mul(label, F.log(label + KL_EPSILON) - log_pred)


def relative_entropy(F: Any, log_pred: Any, label: Any) -> Any:
    r"""Each class's part of the divergence, without an epsilon.

    .. math:: \ell_c = y_c (\log y_c - \log p_c)

    A class of probability 0 adds nothing, whatever was predicted for it; the derivative by that
    probability, ``log 0``, does not exist.
    """
    return F.masked_mul(label, F.log(label)) - F.masked_mul(label, log_pred)


def generalized_entropy(F: Any, log_pred: Any, label: Any) -> Any:
    r"""Each class's part of the divergence of measures, which need not sum to one.

    .. math:: \ell_c = y_c (\log y_c - \log p_c) + p_c - y_c
    """
    return F.masked_mul(label, F.log(label)) - label * log_pred + (F.exp(log_pred) - label)
