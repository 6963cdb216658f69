"""Options as what a user can move: sliders of numbers, choices, and texts for the rest."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import lossgraph as lg
from lossgraph.authoring.block import Block
from lossgraph.catalogue import Entry, example_types

MOST_VARIANTS = 24  # models of one loss


@dataclass(frozen=True)
class Scale:
    """The ends of a slider; on a logarithmic one equal steps are equal factors."""

    low: float
    high: float
    log: bool = False


# By the option's name, or by the loss's and the option's where that one differs. A loss accepts
# every number in its range, on both ends too.
SCALES = {
    "absolute_percentage.epsilon": Scale(0, 1),
    "alpha": Scale(0, 1),
    "approx_ndcg.alpha": Scale(0.1, 100, log=True),
    "base": Scale(1.1, 10),
    "beta": Scale(0, 1),
    "bias": Scale(-20, 20),
    "c": Scale(0.5, 10),
    "charbonnier.epsilon": Scale(1e-4, 2, log=True),
    "circle.margin": Scale(0, 1),
    "circle.scale": Scale(1, 256, log=True),
    "cosface.margin": Scale(0, 1),
    "covariance": Scale(0, 10),
    "CosineEmbeddingLoss.margin": Scale(-1, 1),
    "delta": Scale(0.05, 5),
    "dpo.beta": Scale(0.01, 2, log=True),
    "dpo.label_smoothing": Scale(0, 0.49),
    "entmax.alpha": Scale(1.05, 3),
    "eps": Scale(1e-8, 1, log=True),
    "epsilon": Scale(0, 1),
    "focal_tversky.alpha": Scale(0.05, 1),
    "focal_tversky.gamma": Scale(0.1, 5),
    "gamma": Scale(0, 5),
    "general_robust.alpha": Scale(-5, 2),
    "general_robust.scale": Scale(0.1, 5),
    "invariance": Scale(0, 50),
    "ipo.beta": Scale(0.01, 2, log=True),
    "label_smoothing": Scale(0, 1),
    "log_epsilon": Scale(-1e5, -1),
    "log_zero": Scale(-10, -0.5),
    "margin": Scale(0, 4),
    "p": Scale(1, 4),
    "poly_cross_entropy.epsilon": Scale(-1, 6),
    "poly_loss_cross_entropy.epsilon": Scale(-1, 6),
    "power": Scale(1.05, 1.95),
    "PoissonNLLLoss.epsilon": Scale(1e-8, 1, log=True),
    "q": Scale(0.01, 0.99),
    "redundancy": Scale(0, 0.1),
    "rho": Scale(0.05, 5),
    "scale": Scale(1, 100, log=True),
    "sigma": Scale(0.1, 10, log=True),
    "siglip.temperature": Scale(0.1, 20, log=True),
    "sinkhorn.epsilon": Scale(0.02, 2, log=True),
    "smooth": Scale(0, 2),
    "SmoothL1Loss.beta": Scale(0, 5),
    "smoothing_parameter": Scale(0, 0.99),
    "symmetric_cross_entropy.beta": Scale(0, 4),
    "target": Scale(0, 3),
    "temperature": Scale(0.05, 10, log=True),
    "TripletMarginLoss.margin": Scale(0.01, 4),
    "TripletMarginWithDistanceLoss.margin": Scale(0.01, 4),
    "variance": Scale(0, 50),
    "vicreg.epsilon": Scale(1e-6, 1, log=True),
    "weight": Scale(0, 4),
    "wing.epsilon": Scale(0.1, 10, log=True),
    "width": Scale(1, 20),
}

# What these options are known to take; a loss may take fewer.
CHOICES: dict[str, tuple[object, ...]] = {
    "classes": ("present", "all"),
    "label_format": ("signed", "binary"),
    "max_fun": ("logsumexp", "max", "half_squared_norm", "sum_softplus"),
    "MultiMarginLoss.p": (1, 2),
    "norm_degree": (1, 2, 3),
    "reduce_fn": ("mean", "sum", "none"),
    "reduction": ("mean", "sum", "none", "batchmean"),
    "ties": ("breslow", "efron"),
    "TripletMarginLoss.p": (1.0, 2.0, 3.0),
}


def numbers(entry: Entry) -> dict[str, Scale]:
    """The options that can be inputs of a loss's graph, with their scales."""
    return {
        name: _scale(entry, name, value)
        for name, value in entry.options.items()
        if isinstance(value, (int, float)) and _is_accepted(entry, {name: lg.Input(name)})
    }


def limits(entry: Entry, name: str, scale: Scale) -> dict[str, Any]:
    """What numbers a loss takes for an option, beyond the ends of its slider: ``least``, ``most``.

    None stands for no limit; ``above`` says that the least one is not taken itself.
    """
    below, beyond = -abs(scale.low) - 1, 1e3 * (abs(scale.high) + 1)
    found: dict[str, Any] = {"least": None, "most": None, "above": False}
    if not _is_accepted(entry, {name: below}):
        found["least"] = min(scale.low, 0)
        found["above"] = not _is_accepted(entry, {name: found["least"]})
    if not _is_accepted(entry, {name: beyond}):
        found["most"] = scale.high
    return found


def choices(entry: Entry) -> dict[str, tuple[object, ...]]:
    """The options with few values, with those that the loss takes, its own first."""
    found = {}
    for name, value in entry.options.items():
        known = (False, True) if isinstance(value, bool) else _of(CHOICES, entry, name) or ()
        taken = tuple(v for v in known if v == value or _is_accepted(entry, {name: v}))
        if len(taken) > 1:
            found[name] = taken
    return found


def variants(options: dict[str, tuple[object, ...]]) -> Iterator[dict[str, Any]]:
    """All combinations of choices.

    Raises:
        ValueError: if they are too many.
    """
    combined = list(itertools.product(*options.values()))
    if len(combined) > MOST_VARIANTS:
        raise ValueError(f"{len(combined)} variants by {list(options)}: leave a choice out")
    return (dict(zip(options, values, strict=True)) for values in combined)


def _scale(entry: Entry, name: str, value: float) -> Scale:
    known = _of(SCALES, entry, name)
    return known or Scale(min(0, 4 * value), max(4 * value, 1))


def _of(table: dict[str, Any], entry: Entry, name: str) -> Any:
    return table.get(f"{entry.own_name}.{name}", table.get(name))


def _is_accepted(entry: Entry, options: dict[str, Any]) -> bool:
    """Whether the loss has a graph with these options."""
    try:
        loss: Block = entry.make(options)
        loss.program(example_types(loss))
    except lg.LossgraphError:
        return False
    return True
