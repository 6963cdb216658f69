"""From expressions to ONNX: the only wing that builds models.

In: inputs and named outputs, an opset. Out: a ``ModelProto``, checked by ONNX's own tools
(``validate``), as one node with a function if that is asked for (``as_function``).
``releases`` says what each release of ONNX Runtime loads, ``opsets`` which versions we write.
Read ``lower`` first, then the builder: ``nodes``, ``sizes``, ``walk``, ``control``. Nothing here
imports onnx before a model is built (``onnx_api``).
"""
