"""ONNX models as expressions.

In comes a model of anyone; out goes a ``Graph``: expressions of its outputs, its weights apart.
Each operator of ONNX is translated in ``operators``; what is in none of them stays a node of ONNX.
Read ``reader`` first, then ``operators.elementwise``.
"""
