"""Columns of a table as inputs of a loss: found by name, of known types, as arrays without copies.

A column has a number for each row, or a list, or a matrix; several columns of numbers may stand
side by side as one input. What cannot be an input is refused: the column when it is bound, a cell
when its row comes by.
"""

from __future__ import annotations

from .binding import Binding, bind
from .bound import bound_numbers
from .pieces import Piece, joined
from .rows import BadRowError

__all__ = ["BadRowError", "Binding", "Piece", "bind", "bound_numbers", "joined"]
