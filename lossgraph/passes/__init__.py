"""From expressions to expressions: rewriting by rules, differentiation, mixed precision, scans.

In: roots of a graph. Out: roots that compute the same (``rewrite``, ``assumptions``,
``mixed_precision``), their derivatives (``autodiff``; ``guards`` and
``ranges`` keep out of them what is not chosen), or how the batch may be cut
(``batch_partition``). ``costs`` says what operators cost.
Read ``rewrite`` first, then a table in ``rules``, then ``autodiff``.
"""
