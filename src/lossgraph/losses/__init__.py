"""The mathematics of losses: pure functions on ``F``, unreduced.

A formula never asks which ``F`` it has, reads no values, reduces only what its definition
sums, and stands once; names, options, weighting and reduction belong to the conventions
(``gluon``).
"""
