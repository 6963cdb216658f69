"""What the oldest engine and the oldest onnx cannot do, where lossgraph's graphs are plain ONNX.

Tests by what their names contain, with the reason; the rest of each file runs on them too.
"""

from __future__ import annotations

import onnx
import onnxruntime as ort

from lossgraph.lowering.releases import release

_EVALUATOR = "onnx 1.21's reference evaluator does not see what a scan in a scan reads outside"
_EMPTY = "ONNX Runtime 1.20 multiplies no matrices and reduces no axes that are empty"
_ZERO = "ONNX Runtime 1.20 loses the sign of zero in Floor and Ceil"
_ERF = "ONNX Runtime 1.20 has 1 for erf(NaN)"
_EXP = "ONNX Runtime 1.20 has a number above 0 for the exponential of -inf in float64"
_FUSED = "ONNX Runtime 1.20 fuses a transposed MatMul of float64 into an operator without a kernel"
_WRAP = "ONNX Runtime 1.20 wraps around once only in Pad"
_CEIL = "ONNX Runtime 1.20 counts what lies beyond the padding in a mean with ceil_mode"
_RNN = "ONNX Runtime 1.20 has other values for some activations of RNN"
_SIMPLIFIED = "ONNX Runtime 1.20 has other values for SkipSimplifiedLayerNormalization with a bias"
_CASES = "ONNX's own cases are of newer opsets than ONNX Runtime 1.20 loads"
_BFLOAT16 = "onnx 1.21's reference evaluator multiplies no matrices of bfloat16"
_NESTED = "ONNX Runtime 1.20 infers no shapes of matrices of length 1 in nested scans"

OLD_ENGINE = {
    "test_ops.py::test_special_values_of_one_argument[Erfc-float32]": _ERF,
    "test_empty.py::test_other_operators_have_numpys_answer[norm]": _EMPTY,
    "test_empty.py::test_other_operators_have_numpys_answer[logsumexp]": _EMPTY,
    "test_extremes.py::test_what_is_rounded_to_zero_keeps_its_sign": _ZERO,
    "test_integers.py::test_every_operator": _ZERO,
    "test_layers.py::test_layers_of_no_sample_and_of_one[0-": _EMPTY,
    "test_linalg.py::test_linear_algebra_agrees_with_numpy[potri": _FUSED,
    "test_linalg.py::test_small_matrices_and_empty_stacks[potri": _FUSED,
    "test_linalg.py::test_small_matrices_and_empty_stacks[det": _NESTED,
    "test_functions.py::test_elementary_functions_keep_their_digits[mish-float64]": _EXP,
    "test_nonfinite.py::test_operators[float64]": _EXP,
    "test_nonfinite.py::test_operators": _ERF,
    "test_optax.py::test_log_targets_of_zero": _EXP,
    "test_convolution.py::test_the_engines_operators_compute_the_same[mean ceil of": _CEIL,
    "test_index.py::test_variants[pad-wrap-often]": _WRAP,
    "engine_and_gradients_right[SkipSimplifiedLayerNormalization-": _SIMPLIFIED,
    "test_onnx_operators_page.py::test_cases_are_read": _CASES,
    "test_onnx_operators_page.py::test_another_operator": _CASES,
    **{
        f"test_every_variant_has_the_values_of_the_engine_and_right_gradients[{n}]": _RNN
        for n in ("RNN-12", "RNN-13", "RNN-17")
    },
}
OLD_ONNX = {
    f"test_ops.py::test_onnx_reference_evaluator_agrees[{name}-": _EVALUATOR
    for name in ("SolveLower", "Solve", "Cofactor", "Determinant", "LogAbsDet", "DetSign")
} | {"test_precision.py::test_a_step_is_one_of_single_precision_but_for_rounding[bf": _BFLOAT16}


def reason_to_skip(test: str) -> str | None:
    """Why a test cannot run with these versions of ONNX Runtime and onnx; None if it can."""
    known: dict[str, str] = {}
    if release(ort.__version__) is release("1.20"):
        known |= OLD_ENGINE
    if onnx.__version__.startswith("1.21."):
        known |= OLD_ONNX
    return next((why for name, why in known.items() if name in test), None)
