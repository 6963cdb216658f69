"""Parameters that all rows of a table share, fitted to it: the mean loss at its least."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import InputError
from ..symbolic.arguments import checked
from . import local
from .evaluation import loss_of
from .plan import Plan, plan_of
from .sources import open_source
from .sources.base import Part
from .worker import Evaluator

Array = np.ndarray[Any, Any]
Bound = tuple[float | None, float | None]

_RELATIVE = 1e-14  # of the mean: what less of a descent is rounding


@dataclass(frozen=True)
class Fit:
    """What a fit found.

    Attributes:
        parameters: the parameters, by name: numbers where numbers were given, else arrays.
        mean: the mean loss of the table there.
        first_mean: the mean loss at the parameters that were given.
        gradients: of the mean by the parameters; not zero at a bound.
        converged: whether the method found what it looked for.
        message: why it ended, in its own words.
        passes: how often the table was read.
        rows: how many rows it has.
    """

    parameters: Mapping[str, Any]
    mean: float
    first_mean: float
    gradients: Mapping[str, Any]
    converged: bool
    message: str
    passes: int
    rows: int

    def __str__(self) -> str:
        found = ", ".join(f"{name} = {value}" for name, value in self.parameters.items())
        how = "" if self.converged else f"; did not converge: {self.message}"
        return (
            f"{found}: mean loss {self.mean:.9g}, from {self.first_mean:.9g}, of {self.rows} rows "
            f"in {self.passes} passes{how}"
        )


@checked
def fit(
    loss: Any,
    source: Any,
    columns: Mapping[str, Any],
    parameters: Mapping[str, Any],
    *,
    bounds: Mapping[str, tuple[float | None, float | None]] | None = None,
    weights: str | None = None,
    where: Any = None,
    shared: Mapping[str, Any] | None = None,
    classes: Mapping[str, Any] | None = None,
    nulls: str = "refuse",
    ragged: str = "refuse",
    dtype: str = "float64",
    tolerance: float = 1e-7,
    most_steps: int = 200,
    threads: int | None = None,
) -> Fit:
    r"""The parameters at which the mean loss over a table is least.

    .. math:: \min_\theta \frac{\sum_i w_i\, \ell(x_i, \theta)}{\sum_i w_i}

    Each pass over the table gives the mean and its gradient; L-BFGS-B chooses where to look next,
    so that memory does not grow with the table. Scaling of a temperature is the example::

        def tempered(F, logits, label, temperature):
            return -F.pick(F.log_softmax(logits / temperature), label)

        fit(tempered, "scores/*.parquet", {"logits": "logits", "label": "label"},
            {"temperature": 1.0}, bounds={"temperature": (0.01, None)})

    For a given cut into batches the answer is the same for any number of threads; over tables that
    are cut in another way gradients may differ by rounding within batches.

    Args:
        loss: a loss, a function of F, or the name of a loss of the catalogue.
        source: as of ``evaluate``; it is read again in each pass.
        columns: what inputs of rows are made of.
        parameters: where to begin, by the inputs that are fitted: numbers, or arrays.
        bounds: the least and the largest value of a parameter's elements, None for no bound.
        weights: a column of weights of rows, 0 or more.
        where: which rows are read.
        shared: inputs that all rows share, and that stay as they are.
        classes: of labels that are names, the names in the order of the classes, by input.
        nulls: what to do with rows that have a null: ``refuse`` or ``skip``.
        ragged: what to do with lists of different lengths: ``refuse`` or ``pad``.
        dtype: what the loss is computed in, whatever the columns are. In ``float32`` the descent
            ends where its rounding hides it.
        tolerance: the largest element of the gradient, projected on the bounds, at the end.
        most_steps: how many steps are taken at most.
        threads: how many threads read and compute; by default as many as there are processors.

    Raises:
        CoupledRowsError: if the loss of a row depends on other rows.
        GradientError: if the loss has no gradient by a parameter.
        InputError: as of ``evaluate``; for bounds of nothing; if the mean is not finite at the
            first parameters, or the table has no rows.

    Source: Byrd, Lu, Nocedal, Zhu (1995), SIAM J. Sci. Comput. 16; Guo et al. (2017), ICML.
    """
    start = _Parameters.of(parameters, bounds or {})
    opened = open_source(source, where)
    plan = plan_of(
        loss_of(loss), opened.schema, columns, weights=weights, grad=tuple(start.shapes),
        shared={**(shared or {}), **start.arrays(start.first)}, classes=classes, nulls=nulls,
        ragged=ragged, dtype=dtype,
    )  # fmt: skip
    return _descend(_Objective(plan, opened.parts(), start, threads), tolerance, most_steps)


@dataclass(frozen=True)
class _Parameters:
    """Parameters as one vector, which is what a method of descent moves."""

    shapes: Mapping[str, tuple[int, ...]]
    first: Array
    limits: Sequence[Bound]

    @classmethod
    def of(cls, parameters: Mapping[str, Any], bounds: Mapping[str, Bound]) -> _Parameters:
        if not parameters:
            raise InputError("parameters: expected what is fitted, and where it begins")
        arrays = {name: _numbers(name, value) for name, value in parameters.items()}
        for name in bounds:
            if name not in arrays:
                raise InputError(f"bounds: {name!r} is not fitted, of {[*arrays]}")
        limits = [
            _checked_bound(name, bounds.get(name, (None, None)), array)
            for name, array in arrays.items()
            for _ in range(array.size)
        ]
        shapes = {name: array.shape for name, array in arrays.items()}
        return cls(shapes, np.concatenate([a.ravel() for a in arrays.values()]), limits)

    def arrays(self, vector: Array) -> dict[str, Array]:
        """The arrays by name that are one after the other in a vector."""
        sizes = [int(np.prod(shape)) for shape in self.shapes.values()]
        pieces = np.split(vector, np.cumsum(sizes)[:-1])
        named = zip(self.shapes.items(), pieces, strict=True)
        return {name: piece.reshape(shape) for (name, shape), piece in named}

    def values(self, vector: Array) -> dict[str, Any]:
        """The same with numbers for arrays of rank 0."""
        return {n: a if a.ndim else float(a) for n, a in self.arrays(vector).items()}

    def flat(self, arrays: Mapping[str, Array]) -> Array:
        """The vector of arrays."""
        return np.concatenate([np.ravel(arrays[name]) for name in self.shapes])


class _Objective:
    """The mean loss of a table and its gradient, by the vector of parameters."""

    def __init__(
        self, plan: Plan, parts: Sequence[Part], parameters: _Parameters, threads: int | None
    ) -> None:
        self._plan, self._parts, self._threads = plan, parts, threads
        self.parameters = parameters
        self._evaluator = Evaluator(plan)
        self.passes = self.rows = 0

    def __call__(self, vector: Array) -> tuple[float, Array]:
        dtypes = {name: array.dtype for name, array in self._plan.shared.items()}
        given = {n: a.astype(dtypes[n]) for n, a in self.parameters.arrays(vector).items()}
        plan = replace(self._plan, shared={**self._plan.shared, **given})
        evaluator = self._evaluator.with_shared(plan.shared)
        collected = local.run(plan, self._parts, threads=self._threads, evaluator=evaluator)
        self.passes, self.rows = self.passes + 1, collected.rows
        row = next(iter(collected.groups.summary(()).to_pylist()), {"count": 0})
        if not row["count"]:
            raise InputError("the table has no rows to fit parameters to")
        return row["mean"], self.parameters.flat(collected.gradients())


class _Remembering:
    """A function of a vector that is not computed again where it was computed last."""

    def __init__(self, objective: _Objective) -> None:
        self._objective = objective
        self._at: Array = np.empty(0)
        self._found: tuple[float, Array] = (0.0, self._at)

    def __call__(self, vector: Array) -> tuple[float, Array]:
        if not np.array_equal(vector, self._at):
            self._at, self._found = vector.copy(), self._objective(vector)
        return self._found


def _descend(objective: _Objective, tolerance: float, most_steps: int) -> Fit:
    try:
        from scipy.optimize import Bounds, minimize
    except ImportError:
        raise InputError("fitting needs scipy: pip install 'lossgraph[tables]'") from None
    parameters, function = objective.parameters, _Remembering(objective)
    first, _ = _finite(function(parameters.first))
    low, high = np.array(parameters.limits, np.float64).reshape(-1, 2).T
    bounds = Bounds(np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high))
    found = minimize(
        function, parameters.first, jac=True, method="L-BFGS-B", bounds=bounds,
        options={"gtol": tolerance, "ftol": _RELATIVE, "maxiter": most_steps},
    )  # fmt: skip
    return Fit(
        parameters.values(found.x), float(found.fun), first, parameters.values(found.jac),
        bool(found.success), str(found.message), objective.passes, objective.rows,
    )  # fmt: skip


def _finite(found: tuple[float, Array]) -> tuple[float, Array]:
    mean, gradient = found
    if not (np.isfinite(mean) and np.isfinite(gradient).all()):
        raise InputError(
            f"at the first parameters the mean loss is {mean} and its gradient {gradient}: begin "
            "elsewhere, or see which rows have no finite loss by evaluate(.., worst=)"
        )
    return found


def _numbers(name: str, value: Any) -> Array:
    array = np.asarray(value)
    if array.dtype.kind not in "biuf" or not array.size or not np.isfinite(array).all():
        raise InputError(f"parameters: {name} is no finite number or array but {value!r}")
    return array.astype(np.float64)


def _checked_bound(name: str, bound: Bound, first: Array) -> Bound:
    low, high = bound
    below, above = -np.inf if low is None else low, np.inf if high is None else high
    if not below < above:
        raise InputError(f"bounds: {name} has {bound}: expected the least, then the largest")
    if not ((first >= below) & (first <= above)).all():
        raise InputError(f"parameters: {name} begins at {first.tolist()}, outside {bound}")
    return bound
