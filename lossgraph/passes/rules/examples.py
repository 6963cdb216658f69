"""Types that tests instantiate the variables of rules with, where float64[4,5] does not do."""

from __future__ import annotations

from typing import Any

from ...ir import ops
from ...ir.expr import variable
from ...ir.types import tensor_type

BOOL = tensor_type("bool", (4, 5))
ROW = tensor_type("float64", (1, 5))
INDEX = tensor_type("int64", (4, 1))
EXP = ops.exp(variable("e", tensor_type("float64", (4, 5))))
MINUS = ops.neg(variable("m", tensor_type("float64", (4, 5))))
WIDE: dict[str, Any] = {"shape": (4, 5), "a": ROW}
LOG_SOFTMAX = ops.log_softmax(variable("s", tensor_type("float64", (4, 5))), (1,))
