"""The language inside: typed, interned expressions and the operations they are made of.

In: Python values. Out: an ``Expr``, a node of a graph, with its type, its operation's declaration
and how its batch axis passes through; its value by numpy; its text.
Read ``expr`` first, then an operation in ``ops/elementwise``. Nothing here knows ONNX's files,
F, or losses.
"""
