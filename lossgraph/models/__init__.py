"""ONNX models from files, ours or others': read, typed, joined with a loss, written safely.

In: a path or a ``ModelProto``. Out: its interface (types of inputs and outputs), a model with a
loss attached, or files that are written whole or not at all.
Read ``interface`` first, then ``attach``, then ``merging``.
"""
