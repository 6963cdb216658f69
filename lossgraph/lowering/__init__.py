"""From expressions to ONNX: the only wing that builds models.

In: inputs and named outputs, an opset. Out: a ``ModelProto``, checked by ONNX's own tools
(``validate``), as one node with a function if that is asked for (``as_function``), and what each
release of ONNX Runtime loads (``releases``).
Read ``lower`` first.
"""
