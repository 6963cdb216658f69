"""The rules for kernels: what costs nothing once several results share a loop.

An engine runs a softmax beside a log-softmax as two operators over memory; in a kernel both are
made of the same exponentials, which the exponential of a log-softmax would compute once more.
"""

from __future__ import annotations

from ..rewrite import Rule, RuleSet

FUSING = RuleSet(
    "fusing",
    [
        Rule(
            "exp(log_softmax(x)) = softmax(x)",
            lambda o, x, *, axes: o.exp(o.log_softmax(x, axes)),
            lambda o, x, *, axes: o.softmax(x, axes),
            example={"axes": (1,)},
        )
    ],
)
