"""Losses of preferences: which of two answers a policy shall find more likely.

Inputs are the log-probabilities of answers, (N,), of whole answers or by token as the loss says.
"""

from __future__ import annotations

import math
from typing import Annotated, Any

from ..authoring.options import is_number, require_above
from ..authoring.shapes import require_shape
from ..authoring.signature import Domain, Role
from .limits import broadcast_all

_LogProbability = Annotated[Any, Role(domain=Domain(high=0.0))]


def dpo(
    F: Any,
    policy_chosen: Any,
    policy_rejected: Any,
    reference_chosen: Any,
    reference_rejected: Any,
    beta: float = 0.1,
    label_smoothing: float = 0.0,
) -> Any:
    r"""Direct preference optimization.

    .. math:: \ell = -(1 - \epsilon) \log \sigma(\beta h) - \epsilon \log \sigma(-\beta h), \quad
        h = \log \frac{\pi(y_w)}{\pi_{ref}(y_w)} - \log \frac{\pi(y_l)}{\pi_{ref}(y_l)}

    Inputs: log-probabilities of the chosen and the rejected answer, summed over tokens, by the
    policy and by the reference, (N,). ``label_smoothing`` is the share of labels that are taken
    to be swapped. Value: (N,).

    Source: Rafailov et al. (2023), NeurIPS, arXiv:2305.18290; the smoothing: Mitchell (2023), "A
    note on DPO with noisy preferences".
    """
    gap = beta * _gap(policy_chosen, policy_rejected, reference_chosen, reference_rejected)
    if is_number(label_smoothing) and label_smoothing == 0:
        return F.softrelu(-gap)
    kept, smoothing = broadcast_all(F, 1 - label_smoothing, label_smoothing, gap)[:2]
    return F.masked_mul(kept, F.softrelu(-gap)) + F.masked_mul(smoothing, F.softrelu(gap))


def ipo(
    F: Any,
    policy_chosen: Any,
    policy_rejected: Any,
    reference_chosen: Any,
    reference_rejected: Any,
    beta: float = 0.1,
) -> Any:
    r"""Identity preference optimization: a definite lead of the chosen answer, not an endless one.

    .. math:: \ell = \left(h - \frac{1}{2 \beta}\right)^2, \quad
        h = \log \frac{\pi(y_w)}{\pi_{ref}(y_w)} - \log \frac{\pi(y_l)}{\pi_{ref}(y_l)}

    Inputs as those of ``dpo``; ``beta`` is the source's tau. Value: (N,).

    Source: Azar et al. (2024), AISTATS, arXiv:2310.12036, eq. 17.
    """
    require_above("beta", beta, 0)
    gap = _gap(policy_chosen, policy_rejected, reference_chosen, reference_rejected)
    return F.square(gap - 0.5 / beta)


def orpo(F: Any, chosen: _LogProbability, rejected: _LogProbability, weight: float = 0.1) -> Any:
    r"""Odds ratio preference optimization: likelihood and preference at once, without a reference.

    .. math:: \ell = -\log p_w - \lambda \log \sigma\left(\log \frac{p_w}{1 - p_w}
        - \log \frac{p_l}{1 - p_l}\right)

    Inputs: log-probabilities of the chosen and the rejected answer, averaged over tokens, below
    0, (N,). ``weight`` is the source's lambda. Value: (N,).

    Source: Hong, Lee and Thorne (2024), EMNLP, arXiv:2403.07691.
    """
    require_shape("rejected", rejected.shape, chosen.shape)
    # log(1 + u) with u the odds of the rejected over those of the chosen answer. A chosen answer
    # of probability 1 has u = 0, though its odds are infinite; u overflows for unlikely ones.
    lead, trail = -chosen, -rejected
    near, far = F.clip(lead, 0.0, 1.0), F.clip(lead, 1.0, math.inf)
    u = F.expm1(near) * F.exp(-trail) / F.abs(F.expm1(-trail))  # not by a negative 0
    log_u = (far + F.log1p(-F.exp(-far))) - (trail + F.log(-F.expm1(-trail)))
    odds = F.where(lead < 1, F.log1p(u), F.softrelu(log_u))
    return lead + weight * odds


def _gap(
    policy_chosen: Any, policy_rejected: Any, reference_chosen: Any, reference_rejected: Any
) -> Any:
    """By how much the policy prefers the chosen answer more than the reference does."""
    inputs = {
        "policy_rejected": policy_rejected,
        "reference_chosen": reference_chosen,
        "reference_rejected": reference_rejected,
    }
    for name, x in inputs.items():
        require_shape(name, x.shape, policy_chosen.shape)
    return (policy_chosen - policy_rejected) - (reference_chosen - reference_rejected)
