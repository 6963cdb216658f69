"""The pipeline: a loss's body becomes a program, of its value and gradients.

In: a function of F and the types of its inputs. Out: a ``Program``: typed outputs (values,
auxiliary ones, gradients, checks) and what must hold when they run, which lowers to an ONNX model;
and that model over tiles.
Read ``program`` first: the whole pipeline stands on that page; then ``trace`` and ``outputs``.
"""
