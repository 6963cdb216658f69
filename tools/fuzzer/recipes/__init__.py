"""The operators of F as text with drawn arguments: one recipe for each kind of call.

A recipe is given a ``Chooser``, which names arrays that there are or makes new inputs, and returns
the text of a call, or None where nothing here fits it. What a recipe gets wrong of shapes does not
matter: the reference refuses it, and the line is not taken.
"""

from __future__ import annotations

from . import axes, elementwise, indices, matrices, shapes, signatures
from .chooser import Chooser, Recipe
from .signatures import LEFT_OUT

__all__ = ["LEFT_OUT", "RECIPES", "Chooser", "Recipe"]

RECIPES: dict[str, Recipe] = {
    "any function": signatures.any_function,
    "unary": elementwise.unary(elementwise.UNARY),
    "tame": elementwise.unary(elementwise.TAME),
    "binary": elementwise.binary,
    "sign": elementwise.sign,
    "reduction": axes.reduction,
    "softmax": axes.along(
        "F.softmax({x}, axis={a})",
        "F.log_softmax({x}, axis={a})",
        "F.softmin({x}, axis={a})",
        "F.softmax({x}, axis={a}, temperature=0.5)",
        "F.log_softmax({x}, axis={a}, temperature=2.0)",
        "F.log(F.softmax({x}, axis={a}))",
        "F.exp({x}) / F.sum(F.exp({x}), axis={a}, keepdims=True)",
        "F.log(F.sum(F.exp({x}), axis={a}, keepdims=True))",
    ),
    "softmax with lengths": axes.softmax_length,
    "reshape": shapes.reshape,
    "split an axis": shapes.split_axis,
    "transpose": shapes.transpose,
    "expand": shapes.expand,
    "cut": shapes.cut,
    "slice": shapes.slice,
    "repeat": shapes.repeat,
    "pad": shapes.pad,
    "join": shapes.join,
    "split": shapes.split,
    "matrices": matrices.matrices,
    "einsum": matrices.einsum,
    "pick": indices.pick,
    "take": indices.take,
    "along axis": indices.along_axis,
    "nd": indices.nd,
    "one hot": indices.one_hot,
    "cross entropy": indices.cross_entropy,
    "order": axes.order,
    "sequence": axes.sequence,
    "norms": axes.norms,
    "activation": elementwise.activation,
    "clip": elementwise.clip,
    "where": elementwise.where,
    "guard": elementwise.guard,
    "cumsum": axes.cumsum,
    "diag": shapes.diag,
    "created": shapes.created,
    "shapes": shapes.shapes,
    "casts": elementwise.casts,
    "reshape like": shapes.reshape_like,
    "foreach": axes.foreach,
    "resize": matrices.resize,
}
