"""Laws of a function of ``F``: numpy's F, every opset, derivatives of both orders, named dims."""

from __future__ import annotations

import numpy as np

import lossgraph as lg
from lossgraph import reference, symbolic
from lossgraph.compare.finite_differences import along
from lossgraph.ir.evaluate import evaluate
from lossgraph.lowering.lower import lower
from support import assert_close, newest_opset, run_model
from tolerances import DIFFERENCE

OPSETS = (13, 17, 20, 26)


def symbols(arrays, named=False):
    """Inputs of the arrays' types; with ``named`` their longer axes are known by name only."""
    return {
        name: lg.symbol(
            name,
            array.dtype.name,
            [f"d{n}" if named and n > 1 else n for n in array.shape],
        )
        for name, array in arrays.items()
    }


def parts(value):
    """The arrays of one result, or of several in lists."""
    if isinstance(value, (list, tuple)):
        return [part for item in value for part in parts(item)]
    return [value]


def values(body, arrays, named=False):
    """What a body computes in ONNX Runtime."""
    roots = [part.expr for part in parts(body(symbolic, **symbols(arrays, named)))]
    return lg.compile(tuple(map(symbolic.Symbol, roots)))(**arrays)


def by_reference(body, arrays):
    """What a body computes in numpy."""
    found = body(reference, **{name: reference.Array(a) for name, a in arrays.items()})
    return [part.asnumpy() for part in parts(found)]


def check_values(body, arrays, tolerance=None, named=(False, True)):
    """The engine gives what numpy gives, in float64 and float32, with named dims too."""
    for dtype in ("float64", "float32"):
        given = {n: a.astype(dtype) if a.dtype.kind == "f" else a for n, a in arrays.items()}
        expected = by_reference(body, given)
        for names in named:
            actual = values(body, given, names)
            for one, other in zip(parts(actual), expected, strict=True):
                assert one.dtype == other.dtype
                assert_close(one, other, tolerance=tolerance and tolerance[dtype])


def check_opsets(body, arrays):
    """Every opset gives the same; the gradient too."""
    given = {n: a.astype("f") if a.dtype.kind == "f" else a for n, a in arrays.items()}
    inputs = symbols(given)
    roots = [part for part in parts(body(symbolic, **inputs)) if part.expr.type.is_float]
    wrt = [x for x in inputs.values() if x.expr.type.is_float]
    roots = [*roots, *(lg.grad(_total(roots), x) for x in wrt)]
    exprs = {f"result{i}": root.expr for i, root in enumerate(roots)}
    found = [
        run_model(lower([x.expr for x in inputs.values()], exprs, opset=opset), given)
        for opset in OPSETS
        if opset <= newest_opset()
    ]
    for other in found[1:]:
        for one, same in zip(found[0], other, strict=True):
            assert_close(same, one, tolerance=(2e-4, 1e-5))


def check_derivatives(body, arrays, orders=(1, 2), scale=1.0):
    """Gradients of a random combination of the results against central differences."""
    inputs = symbols(arrays)
    wrt = {name: x for name, x in inputs.items() if x.expr.type.is_float}
    rng = np.random.default_rng(5)
    value = _total(parts(body(symbolic, **inputs)))
    for order in orders:
        gradients = [lg.grad(value, x) for x in wrt.values()]
        for name, gradient in zip(wrt, gradients, strict=True):
            direction = {name: rng.uniform(-1, 1, arrays[name].shape)}
            expr = value.expr
            moved = along(lambda at, e=expr: evaluate([e], at)[0], arrays, direction)
            (found,) = evaluate([gradient.expr], arrays)
            assert gradient.expr.type == wrt[name].expr.type
            rtol, atol = DIFFERENCE
            bounds = (rtol * 10**order * scale, atol * 10**order * scale)
            assert_close(np.sum(found * direction[name]), np.sum(moved), tolerance=bounds)
        value = _total(gradients)


def _total(results):
    """One number of all results, by weights that differ."""
    total = 0.0
    for result in results:
        if result.expr.type.is_float:
            size = int(np.prod([int(n) for n in result.shape]))
            weights = symbolic.array(np.cos(np.arange(size) + 1.0))
            total = total + symbolic.sum(symbolic.reshape(result, (-1,)) * weights)
    return total
