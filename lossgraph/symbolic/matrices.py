"""Products of arrays and triangles of matrices, with NumPy's names and arguments."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

from ..errors import InputError
from ..ir import dims, ops
from ..ir.dims import Dim
from ..ir.expr import Expr
from ..ir.types import broadcast_shapes, require_equal
from .register import function
from .symbol import Operand, Symbol, as_expr, definite, wrap


@function(True)
def matmul(lhs: Operand, rhs: Operand) -> Symbol:
    """Products of matrices in stacks that broadcast; a vector is a row on the left, else a column.

    NumPy's function; of two vectors it has the shape (1,).
    """
    a, b = definite(lhs, rhs, floating=True)
    if not a.rank or not b.rank:
        raise InputError(f"matmul: needs arrays of rank 1 or more, got {a.type} and {b.type}")
    left = ops.expand_dims(a, (0,)) if a.rank == 1 else a
    right = ops.expand_dims(b, (1,)) if b.rank == 1 else b
    product = ops.matmul(left, right)
    dropped = [*([-2] if a.rank == 1 else []), *([-1] if b.rank == 1 else [])]
    return wrap(ops.squeeze(product, dropped[: product.rank - 1]))


def triangle(x: Expr, k: int, lower: bool) -> Expr:
    """``x`` with zeros above (or below) the k-th diagonal of its last two axes."""
    below = on_or_below(x.shape[-2], x.shape[-1], k if lower else k - 1)
    zero = ops.full(0, x.dtype, ())
    return ops.where(below, x, zero) if lower else ops.where(below, zero, x)


def on_or_below(rows: Dim, columns: Dim, k: int = 0) -> Expr:
    """Where a matrix is on its k-th diagonal or below it."""
    row = ops.expand_dims(ops.iota(rows), (1,))
    return ops.less_equal(ops.expand_dims(ops.iota(columns), (0,)), row + k)


def _triangle_of(data: Operand, k: int, lower: bool) -> Symbol:
    x = as_expr(data)
    if x.rank < 2:
        raise InputError(f"a triangle is part of a matrix, or of a stack of them, got {x.type}")
    return wrap(triangle(x, int(k), lower))


@function(True)
def tril(data: Operand, k: int = 0) -> Symbol:
    """Matrices with zeros above the k-th diagonal; NumPy's function."""
    return _triangle_of(data, k, lower=True)


@function(True)
def triu(data: Operand, k: int = 0) -> Symbol:
    """Matrices with zeros below the k-th diagonal; NumPy's function."""
    return _triangle_of(data, k, lower=False)


# --- einsum -----------------------------------------------------------------------------------


@function()
def einsum(subscripts: str, *operands: Operand, optimize: Any = False) -> Symbol:
    """Einstein's sum: products of arrays, summed over the letters that the result has not.

    NumPy's function: ``->`` and ``...`` as there, also a letter twice in one operand (its
    diagonal). Operands are contracted from left to right, as products of matrices; ``optimize``
    has no effect. A full sum has the shape (1,).
    """
    arrays = definite(*operands, floating=True)
    terms, result = _parsed(subscripts, arrays)
    factors = [_diagonal(x, term) for x, term in zip(arrays, terms, strict=True)]
    value, letters = factors[0]
    for i, (x, term) in enumerate(factors[1:], start=1):
        later = {*result, *(letter for _, other in factors[i + 1 :] for letter in other)}
        value, letters = _contracted(value, letters, x, term, later)
    value, letters = _summed(value, letters, set(result))
    value = ops.transpose(value, [letters.index(letter) for letter in result])
    return wrap(value if value.rank else ops.reshape(value, (1,)))


def _parsed(subscripts: str, arrays: Sequence[Expr]) -> tuple[list[str], str]:
    """The letters of each operand and of the result, those of ``...`` among them."""
    sides = subscripts.replace(" ", "").split("->")
    terms = sides[0].split(",")
    if len(terms) != len(arrays) or len(sides) > 2 or not arrays:
        raise InputError(f"einsum {subscripts!r}: {len(terms)} terms for {len(arrays)} arrays")
    named = [letter for side in sides for letter in side if letter not in ",."]
    if not all(letter in string.ascii_letters for letter in named):
        raise InputError(f"einsum {subscripts!r}: expected letters, ',', '->' and '...'")
    free = [letter for letter in string.ascii_letters if letter not in named]
    widest = 0
    for i, (term, x) in enumerate(zip(terms, arrays, strict=True)):
        hidden = x.rank - len(term.replace("...", ""))
        if hidden < 0 or (hidden and "..." not in term):
            raise InputError(f"einsum {subscripts!r}: {term!r} does not fit {x.type}")
        widest = max(widest, hidden)
        terms[i] = term.replace("...", "".join(free[:hidden][::-1]))
    ellipsis = "".join(free[:widest][::-1])
    if len(sides) == 2:
        result = sides[1].replace("...", ellipsis)
    else:
        once = sorted({c for c in named if sides[0].count(c) == 1})
        result = ellipsis + "".join(once)
    known = "".join(terms)
    if len(set(result)) < len(result) or any(letter not in known for letter in result):
        raise InputError(f"einsum {subscripts!r}: the result has letters twice, or unknown ones")
    return terms, result


def _diagonal(x: Expr, term: str) -> tuple[Expr, str]:
    """An operand with each letter once: of one that stands twice the diagonal."""
    for letter in dict.fromkeys(term):
        while term.count(letter) > 1:
            first = term.index(letter)
            second = term.index(letter, first + 1)
            length = x.shape[first]
            require_equal(length, x.shape[second])
            back = [i for i in range(x.rank) if i not in (first, second)]
            x = ops.transpose(x, (*back, first, second))
            place = ops.expand_dims(ops.iota(length), (1,))
            place = ops.broadcast_to(place, (*x.shape[:-1], 1))
            x = ops.squeeze(ops.pick(x, place, -1), (-1,))
            term = "".join(term[i] for i in back) + letter
    return x, term


def _summed(x: Expr, term: str, kept: set[str]) -> tuple[Expr, str]:
    """Without the letters that nothing needs any more."""
    axes = [i for i, letter in enumerate(term) if letter not in kept]
    total = ops.squeeze(ops.reduce_sum(x, axes), axes)
    return total, "".join(letter for letter in term if letter in kept)


def _contracted(a: Expr, left: str, b: Expr, right: str, later: set[str]) -> tuple[Expr, str]:
    """Two operands as one stack of products of matrices."""
    a, left = _summed(a, left, later | set(right))
    b, right = _summed(b, right, later | set(left))
    both = [letter for letter in left if letter in right]
    stack = [letter for letter in both if letter in later]
    inner = [letter for letter in both if letter not in later]
    rows = [letter for letter in left if letter not in right]
    columns = [letter for letter in right if letter not in left]
    letters = "".join([*stack, *rows, *columns])
    a = ops.transpose(a, [left.index(letter) for letter in (*stack, *rows, *inner)])
    b = ops.transpose(b, [right.index(letter) for letter in (*stack, *inner, *columns)])
    depth, height = len(stack), len(rows)
    shared = broadcast_shapes(a.shape[:depth], b.shape[:depth])
    inside = broadcast_shapes(a.shape[depth + height :], b.shape[depth : depth + len(inner)])
    of_rows, of_columns = a.shape[depth : depth + height], b.shape[depth + len(inner) :]
    a = ops.broadcast_to(a, (*a.shape[: depth + height], *inside))
    b = ops.broadcast_to(b, (*b.shape[:depth], *inside, *of_columns))
    count = dims.product(inside)
    first = ops.reshape(a, (*a.shape[:depth], dims.product(of_rows), count))
    second = ops.reshape(b, (*b.shape[:depth], count, dims.product(of_columns)))
    product = ops.matmul(first, second)
    return ops.reshape(product, (*shared, *of_rows, *of_columns)), letters
