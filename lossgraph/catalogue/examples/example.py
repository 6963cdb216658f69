"""What a plausible input of a loss is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

VALUES = {
    "real": "real numbers",
    "unit": "inside (0, 1)",
    "positive": "above 0",
    "sign": "-1 or 1",
    "count": "counts",
    "simplex": "distributions along the last axis",
    "log_simplex": "logarithms of distributions along the last axis",
    "log_probability": "log-probabilities, below 0",
    "shares": "distributions along axis 1",
    "table": "tables of joint probabilities, of sum 1 over the last two axes",
    "box": "left, top, right, bottom along the last axis, right above left and bottom above top",
    "class": "class labels, like 0 and 1",  # whose range the graph does not say
    "event": "class labels above 0, like 1 and 2",  # 0 being the blank
    "group": "labels of groups",
    "length": "lengths, which are the whole or a little less",
    "mask": "not all 0 along the last axis",
    "zero": "0",
}


# What predictions are compared with: it was seen, or comes from a model that stays as it is.
OBSERVED = frozenset(
    ("event", "label", "label_paddings", "labels", "log_targets", "logit_paddings",
     "reference_chosen", "reference_rejected", "relevance", "target", "targets", "teacher", "time")
)  # fmt: skip


@dataclass(frozen=True)
class Example:
    """A plausible input.

    Attributes:
        dtype: its dtype.
        shape: its shape, with names for what may vary.
        values: what its elements are: a word of ``VALUES``.
    """

    dtype: str = "float32"
    shape: tuple[str | int, ...] = ("N", "C")
    values: str = "real"

    @property
    def type(self) -> tuple[str, tuple[str | int, ...]]:
        """The type as ``to_onnx`` takes it."""
        return self.dtype, self.shape


Condition = tuple[str, object]
# (loss, input) -> the example, and what replaces it when an option has some value.
Table = Mapping[tuple[str, str], tuple[Example, Mapping[Condition, Example]]]

SIGNS = Example(values="sign")
MATRIX = Example(shape=("N", "D"))
LABELS = Example("int64", ("N",))
MASK = Example("bool", values="mask")
UNIT = Example(values="unit")
EVENTS = Example("int64", ("N", "L"), "event")
LENGTHS = Example("int64", ("N",), "length")
GROUPS = Example("int64", ("N",), "group")
SIMPLEX = Example(values="simplex")
LOG_SIMPLEX = Example(values="log_simplex")
CLASS_SPACE = Example(shape=("N", "H", "C"))  # classes in space
SHARES = Example(shape=("N", "H", "C"), values="simplex")
