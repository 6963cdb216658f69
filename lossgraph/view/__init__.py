"""What people look at: curves of value and gradient, pictures of graphs, one-file pages.

In: a loss or a program. Out: points of curves, PNG or SVG, HTML.
Read ``curves`` first, then ``plotting``; for graphs ``layer_layout`` and ``drawing``; ``webpage``
last.
"""
