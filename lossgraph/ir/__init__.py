"""The language inside: typed, interned expressions and the operations they are made of.

In: Python values. Out: an ``Expr``, a node of a graph, with its type and the declaration of its
operation (type rule, numpy reference, derivative, lowering, batch-axis rule, traits); its value
by numpy (``evaluate``); its text (``text``). ``html`` has the pieces of what notebooks show.
Read ``expr`` first, then an operation in ``ops/elementwise``. Nothing here knows ONNX's files,
F, or losses.
"""
