"""C of operators and reductions: where one starts, how two numbers become one, then lanes."""

from __future__ import annotations

INFIX = ("+", "-", "*", "/", "==", "!=", "<", "<=", ">", ">=", "&", "|", "^")
START = {"sum": "0", "max": "-INFINITY", "min": "INFINITY", "prod": "1", "log1p": "0"}
COMBINED = {
    "sum": "{0} + {1}", "prod": "{0} * {1}", "max": "lg_max({0}, {1})", "min": "lg_min({0}, {1})",
    "log1p": "lg_fma({0}, {1}, {0} + {1})",
}  # fmt: skip
ADDED = {  # what the lanes of a block become, added to a total in float64
    "sum": "{total} += lg_dsum({lanes});",
    "prod": "{total} *= lg_product({lanes});",
    "log1p": "{total} += lg_dsum(lg_log1p({lanes}));",
}
FACTORS = 16  # that are multiplied for one logarithm, each at most 2
