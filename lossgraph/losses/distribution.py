"""Losses between distributions."""

from __future__ import annotations

from typing import Any

from .limits import xlogy

KL_EPSILON = 1e-12  # of Gluon's formula


def kl_divergence(F: Any, log_pred: Any, label: Any, epsilon: float = KL_EPSILON) -> Any:
    r"""Each class's part of the divergence of a true from a predicted distribution.

    .. math:: \ell_c = y_c (\log(y_c + \epsilon) - \log p_c)

    A class of probability 0 adds nothing, whatever was predicted for it.
    """
    if epsilon:
        return F.masked_mul(label, F.log(label + epsilon) - log_pred)
    return xlogy(F, label, label) - F.masked_mul(label, log_pred)


def log_kl_divergence(F: Any, log_pred: Any, log_label: Any) -> Any:
    r"""The same from the logarithm of the true distribution, in the shape of the prediction.

    .. math:: \ell_c = e^{y_c} (y_c - \log p_c)

    A class of logarithm -inf adds nothing, and has no gradient.
    """
    label = F.exp(log_label)
    against = F.masked_mul(label, log_pred)
    value = F.masked_mul(label, log_label) - against
    slope = F.masked_mul(label, log_label + 1) - against  # without exp's, that is 0 times inf
    return F.with_gradient(value, [log_pred, log_label], [-label, slope])


def generalized_entropy(F: Any, log_pred: Any, label: Any) -> Any:
    r"""Each class's part of the divergence of measures, which need not sum to one.

    .. math:: \ell_c = y_c (\log y_c - \log p_c) + p_c - y_c
    """
    return F.masked_mul(label, F.log(label)) - label * log_pred + (F.exp(log_pred) - label)
