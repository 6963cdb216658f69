"""What people look at: curves of value and gradient, pictures of graphs, one-file pages.

In: a loss or a program. Out: points of curves, PNG or SVG, HTML.
Read ``sweeps`` and ``curves`` first, then ``plotting``; for graphs ``layer_layout``, ``drawing``;
``webpage`` last.
"""
