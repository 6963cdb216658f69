"""ONNX models from files, ours or others': read, typed, joined with a loss, written safely.

In: a path or a ``ModelProto``. Out: the types of its inputs and outputs, its results, a model
with a loss attached, or files that are written whole or not at all.
Read ``loading`` and ``model_runner`` first, then ``attach``, then ``merging``.
"""
