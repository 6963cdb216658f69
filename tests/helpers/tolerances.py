"""How far numbers may be apart in tests: ``(rtol, atol)`` by dtype, with the reasons.

For engines and other frameworks, as users meet them, ``lossgraph.compare.differences`` has wider
ones.
"""

from __future__ import annotations

# The same formula twice. float64: some hundred roundings. float32: as many, and the engine's
# exp, log, tanh and erf, which are right to a few units in the last place; atol for sums of
# terms that cancel. float16 and bfloat16: one rounding of a float32 result, at most half a unit
# of 2^-11 and 2^-8.
TOLERANCE = {
    "float64": (1e-11, 1e-12),
    "float32": (1e-5, 2e-6),
    "float16": (1e-3, 1e-6),
    "bfloat16": (8e-3, 1e-6),
}
# Central differences in float64: truncation h^2, rounding 1e-16/h.
DIFFERENCE = (1e-6, 1e-7)
# A loss against another formula for it in float64: special functions of other libraries.
ORACLE = (1e-10, 1e-12)
# Its gradient, whose terms may cancel.
ORACLE_GRADIENT = (1e-9, 1e-10)
# A loss in float32 against itself in float64. Scores of some hundreds that couple a batch keep
# 1e-5 of themselves, as do entries of gradients, whose terms may cancel.
SINGLE = (2e-5, 4e-6)
SINGLE_COUPLED = (2e-4, 2e-5)
# Recorded results of another framework. Of float32, its own digits: its kernels agree with exact
# ones to 1e-5 in values and 1e-4 in gradients. The narrow ones round a float32 result once.
RECORDED = {**TOLERANCE, "float64": (1e-9, 1e-11), "float32": (2e-4, 2e-6)}
# Another framework that computes beside us: its order of sums and its own exp and log.
FRAMEWORK = {"float64": (1e-9, 1e-10), "float32": (2e-4, 1e-5)}
# Operators of MXNet against the numpy ones: one operator, with sums in another order.
MXNET = {"float64": (1e-12, 1e-12), "float32": (1e-5, 1e-6), "float16": (1e-3, 1e-3)}
