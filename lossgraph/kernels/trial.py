"""The kernel that a release of ONNX Runtime is tried with, written by hand."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from ..ir.expr import Expr, variable
from ..ir.types import tensor_type
from .unit import Unit, translation_unit

SOURCES = Path(__file__).parent / "sources"
TRIAL_DOMAIN = "lossgraph.trial"


class TrialKernel:
    """``trial.c``: from scores and labels their double, the sum of scores, the negative labels."""

    name = "Fused_trial"

    @property
    def inputs(self) -> tuple[Expr, ...]:
        return _value("scores", "float32", "N", "C"), _value("labels", "int64", "N")

    @property
    def outputs(self) -> dict[str, Expr]:
        return {
            "doubled": _value("doubled", "float32", "N", "C"),
            "total": _value("total", "float64"),
            "negative": _value("negative", "int64"),
        }

    def text(self, number: int) -> str:
        """The C of it."""
        text = (SOURCES / "trial.c").read_text(encoding="utf-8")
        return text.replace("NUMBER", str(number)).replace("NAME", self.name)


@cache
def trial_unit() -> Unit:
    """The unit of the trial's kernel."""
    return translation_unit([TrialKernel()], TRIAL_DOMAIN)


def _value(name: str, dtype: str, *shape: str) -> Expr:
    return variable(name, tensor_type(dtype, shape))
