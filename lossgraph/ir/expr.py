"""Expressions: frozen, interned, typed nodes, and the register of operations.

Two expressions that are built alike are one object, so equality is ``is``, common
subexpressions cost nothing, and an expression can be a key of a dict. Of operations only the
leaves and the arithmetic of Python's operators are named here; ``ops`` declares the others, and
what the rest of lossgraph asks about them is an attribute of ``Op``.
"""

from __future__ import annotations

import enum
import inspect
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, ParamSpec, Protocol, TypeAlias, cast
from weakref import WeakValueDictionary

import numpy as np

from ..errors import DtypeError, InputError, SpecializationError
from .dims import Dim, Size
from .dims import substitute as substitute_dim
from .kernel_forms import KernelForm
from .types import (
    Constraint,
    TensorType,
    collect_constraints,
    dtype_name,
    numpy_dtype,
)

Array = np.ndarray[Any, Any]
Vjp = Callable[..., "tuple[Expr | None, ...]"]
Lower: TypeAlias = str | Callable[..., str]
Interval = tuple[float, float]
P = ParamSpec("P")

_REGISTRY: dict[str, Op] = {}
_LOCK = threading.RLock()
_INTERNED: WeakValueDictionary[tuple[Any, ...], Expr] = WeakValueDictionary()


class Movement(enum.Enum):
    """How an operation makes its result of the elements of its first argument."""

    RESHAPE = enum.auto()  # all of them, in the same order
    PERMUTE = enum.auto()  # all of them
    BROADCAST = enum.auto()  # all of them, repeated
    SELECT = enum.auto()  # some of them

    @property
    def keeps_all(self) -> bool:
        """Whether every element of the argument is in the result."""
        return self is not Movement.SELECT


class Choice(NamedTuple):
    """A guard: the elements of an argument that are passed on, the others being kept out.

    ``explicit`` says that a condition chooses and not the argument's own value: then what is kept
    out may be anything, and the derivative that the operation declares is that of what is chosen.
    """

    condition: Expr
    holds: bool  # the truth of the condition that lets an element pass
    explicit: bool = False


@dataclass(frozen=True, eq=False)
class Op:
    """An operation, declared once: everything that any part of lossgraph knows of it.

    Attributes:
        name: its name, in CamelCase; ONNX's own where ONNX has the operation.
        infer: type rule, ``(*types, **attrs) -> TensorType``; raises InputError. Its keyword-only
            parameters declare the attributes of the operation.
        ref: numpy reference, ``(*arrays, **attrs) -> array``; sizes in attrs are ints here.
        vjp: ``(ct, out, *args, **attrs)`` gives a cotangent for each argument, None where the
            derivative is zero. A cotangent may have the shape of the output: it is summed to
            the argument's afterwards. Of an operation with several results ``ct`` is a dict, by
            the places of those that have a cotangent, and a further argument ``needed`` has the
            places of the arguments that want one. ``no_gradient`` declares that the derivative is
            zero or does not exist, for any argument; None that asking for one is an error.
        lower: an ONNX operator's name, or ``(builder, node, *names) -> name``.
        domain: where tests sample each argument, ``(low, high)`` floats; away from kinks.
        index_args: positions of arguments that select and so carry no derivative at all.
        commutative: whether two arguments may change places.
        variants: other ways to lower it, by name, equal in accuracy; for a target that is known
            the cheapest one is taken (see ``costs``).
        portable: the way to lower it for an engine that is not known, where ``lower`` is right in
            ONNX Runtime and not in all others.
        batching: ``(node, batch_dims, batch) -> batch_dim``, the batch axis of the result, given
            those of the arguments (see ``batching``); None for an operation that mixes samples.
        movement: how it moves elements without computing anything; None if it computes.
        positive_if: the positions of the arguments that have to be positive for the result to be
            so; none of them for one that always is; None where nothing follows.
        nonnegative: whether the result never is below zero.
        linear: whether it only moves, repeats and adds elements: no value of an argument is in its
            derivative.
        heavy: whether it multiplies and adds so much that hardware has units of few bits for it.
        selecting: whether each element of its result is an element of an argument, or 0, so that
            it is exact in any dtype. What has a movement is so in any case.
        linear_in: the arguments by which the derivative is made of the other arguments alone.
        finite_on: an open interval for each argument, infinite ends belonging to it. In it the
            derivatives of any order are finite numbers, and the result too, of finite numbers;
            outside they need not be. None given: all finite numbers.
        root: whether the result is finite where that interval of its first argument begins, though
            its derivative is infinite there.
        range_of: ``(node, *intervals)`` gives an interval for the result; all finite numbers
            by default, for arguments in ``finite_on``.
        chosen: ``(out, *args, **attrs)`` gives a ``Choice`` for each argument: which elements of it
            the result can depend on at all; None for all of them.
        flat_if: the positions of arguments that have to be flat for the result to be so: never
            below zero, and without slope where they are zero.
        defines: the dims of its results that are known only when it has run, by name, with an
            expression and the axis of it that has this length; None for the axis if the expression
            is that length itself, an int64.
        is_item: whether it takes one result of an operation with several.
        kernel: how it is written in a fused kernel; None for what no kernel has.
        stem: what its values are called in models, numbered; the name in snake case by default.
            Operations that were renamed keep theirs, so that the bytes of models stay the same.
    """

    name: str
    infer: Callable[..., Any]
    ref: Callable[..., Any]
    vjp: Vjp | None
    lower: Lower
    domain: tuple[tuple[float, float], ...] = ((-3.0, 3.0),)
    index_args: tuple[int, ...] = ()
    commutative: bool = False
    batching: Callable[..., Any] | None = None
    variants: Mapping[str, Lower] = field(default_factory=dict)
    portable: Lower | None = None
    movement: Movement | None = None
    positive_if: tuple[int, ...] | None = None
    nonnegative: bool = False
    linear: bool = False
    heavy: bool = False
    selecting: bool = False
    linear_in: tuple[int, ...] = ()
    finite_on: tuple[Interval, ...] = ()
    root: bool = False
    range_of: Callable[..., Interval] | None = None
    chosen: Callable[..., tuple[Choice | None, ...]] | None = None
    flat_if: tuple[int, ...] | None = None
    defines: Callable[[Expr], Mapping[str, tuple[Expr, int | None]]] | None = None
    is_item: bool = False
    kernel: KernelForm | None = None
    stem: str = ""
    attributes: frozenset[str] = field(init=False)
    arity: int | None = field(init=False)  # None for any number of arguments

    def __post_init__(self) -> None:
        parameters = inspect.signature(self.infer).parameters.values()
        kinds = [parameter.kind for parameter in parameters]
        attributes = frozenset(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)
        positional = kinds.count(inspect.Parameter.POSITIONAL_OR_KEYWORD)
        variadic = inspect.Parameter.VAR_POSITIONAL in kinds
        object.__setattr__(self, "attributes", attributes)
        object.__setattr__(self, "arity", None if variadic else positional)

    @property
    def has_body(self) -> bool:
        """Whether it applies a function of its own, as a scan does: the attribute ``body``."""
        return "body" in self.attributes

    @property
    def only_selects(self) -> bool:
        """Whether it computes nothing, so that it is exact in any dtype."""
        return self.selecting or self.is_item or self.movement is not None

    @property
    def differentiable(self) -> bool:
        """Whether it has a derivative by any argument."""
        return self.vjp is not None and self.vjp is not no_gradient

    def __call__(self, *args: Expr | float | Array, **attrs: Any) -> Expr:
        return _make(self, _coerce_all(self, args), attrs)

    def __repr__(self) -> str:
        return f"Op({self.name})"


def no_gradient(ct: Expr, out: Expr, *args: Expr, **_: object) -> tuple[None, ...]:
    """The rule of an operation that has no derivative, or that is piecewise constant."""
    return (None,) * len(args)


class OpFunction(Protocol[P]):
    """A function that builds nodes of one operation."""

    op: Op

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Expr: ...


def builds(op: Op) -> Callable[[Callable[P, Expr]], OpFunction[P]]:
    """Declare that a function builds nodes of an operation.

    Its parameters are the arguments and, under their names, the attributes of the operation.
    """

    def declare(function: Callable[P, Expr]) -> OpFunction[P]:
        missing = op.attributes - set(inspect.signature(function).parameters)
        if missing:
            raise ValueError(f"{op.name} has attributes that its function has not: {missing}")
        function.op = op  # type: ignore[attr-defined]
        return cast("OpFunction[P]", function)

    return declare


@dataclass(frozen=True)
class Body:
    """A function inside an expression: what a scan does at each step.

    Its inputs are variables that occur nowhere else, told apart from those of other bodies by
    ``depth``: a body inside another has the larger one.
    """

    inputs: tuple[Expr, ...]
    outputs: tuple[Expr, ...]
    depth: int

    def replaced(self, outputs: Sequence[Expr]) -> Body:
        """The same inputs with other outputs."""
        return Body(self.inputs, tuple(outputs), self.depth)


class Expr:
    """One node: an operation, its arguments, its attributes and its type."""

    __slots__ = ("__weakref__", "args", "attrs", "constraints", "op", "type")

    op: Op
    args: tuple[Expr, ...]
    attrs: Mapping[str, Any]
    type: Any  # TensorType, or TupleType of an operation with several results
    constraints: tuple[Constraint, ...]

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("expressions are immutable")

    @property
    def dtype(self) -> str:
        return self.type.dtype

    @property
    def shape(self) -> tuple[Dim, ...]:
        return self.type.shape

    @property
    def rank(self) -> int:
        return len(self.type.shape)

    def __repr__(self) -> str:
        label = self.attrs.get("name") or self.op.name
        return f"<{label}: {self.type}>"

    def __add__(self, other: Expr | float) -> Expr:
        return _REGISTRY["Add"](self, other)

    def __radd__(self, other: float) -> Expr:
        return _REGISTRY["Add"](other, self)

    def __sub__(self, other: Expr | float) -> Expr:
        return _REGISTRY["Sub"](self, other)

    def __rsub__(self, other: float) -> Expr:
        return _REGISTRY["Sub"](other, self)

    def __mul__(self, other: Expr | float) -> Expr:
        return _REGISTRY["Mul"](self, other)

    def __rmul__(self, other: float) -> Expr:
        return _REGISTRY["Mul"](other, self)

    def __truediv__(self, other: Expr | float) -> Expr:
        return _REGISTRY["Div"](self, other)

    def __rtruediv__(self, other: float) -> Expr:
        return _REGISTRY["Div"](other, self)

    def __neg__(self) -> Expr:
        return _REGISTRY["Neg"](self)


def register(op: Op) -> Op:
    """Add an operation to the register; a name is declared once."""
    if op.name in _REGISTRY:
        raise ValueError(f"operation {op.name} is declared twice")
    _REGISTRY[op.name] = op
    return op


def registered() -> Mapping[str, Op]:
    """Every operation by name."""
    return dict(_REGISTRY)


def const(value: object, dtype: object = None) -> Expr:
    """A constant, keyed by its bits (-0.0 is not 0.0, a NaN is itself)."""
    with np.errstate(over="ignore"):  # a number that the dtype cannot hold is infinite
        given = np.asarray(value, dtype=None if dtype is None else numpy_dtype(dtype_name(dtype)))
    array = np.ascontiguousarray(given).reshape(given.shape)  # ascontiguousarray drops rank 0
    if array is value or array.base is not None:
        array = array.copy()
    array.flags.writeable = False
    type_ = TensorType(dtype_name(array.dtype), array.shape)
    key = ("Const", type_, array.tobytes())
    return _intern(key, _CONST, (), {"value": array}, type_, ())


def variable(name: str, type_: TensorType) -> Expr:
    """An input of a graph."""
    if not isinstance(name, str) or not name.replace(".", "_").isidentifier():
        raise InputError(f"an input's name is an identifier, which may have dots, got {name!r}")
    return _intern(("Input", name, type_), _INPUT, (), {"name": name}, type_, ())


def foreign_variable(name: str, type_: Any) -> Expr:
    """An input of a graph that another tool has made, whose names may be any text."""
    return _intern(("Input", name, type_), _INPUT, (), {"name": name}, type_, ())


def rebuild(node: Expr, args: Sequence[Expr], **changed: Any) -> Expr:
    """The same operation on other arguments."""
    if not changed and all(a is b for a, b in zip(args, node.args, strict=True)):
        return node
    return _make(node.op, tuple(args), {**node.attrs, **changed})


def toposort(roots: Iterable[Expr], known: Collection[Expr] = ()) -> list[Expr]:
    """Every node that the roots need, arguments before users, in a reproducible order.

    Args:
        roots: the nodes to begin with.
        known: nodes that are left out, with what only they need.
    """
    order: list[Expr] = []
    seen: set[Expr] = set()
    stack = [(root, False) for root in reversed(list(roots))]
    while stack:
        node, ready = stack.pop()
        if ready:
            order.append(node)
        elif node not in seen and node not in known:
            seen.add(node)
            stack.append((node, True))
            stack.extend((arg, False) for arg in reversed(node.args) if arg not in seen)
    return order


def transform(
    roots: Sequence[Expr], rewrite: Callable[[Expr, tuple[Expr, ...]], Expr]
) -> list[Expr]:
    """The roots rewritten bottom-up, by ``rewrite(node, new_args)`` for every node."""
    done: dict[Expr, Expr] = {}
    for node in toposort(roots):
        done[node] = rewrite(node, tuple(done[arg] for arg in node.args))
    return [done[root] for root in roots]


def substitute(roots: Sequence[Expr], replacements: Mapping[Expr, Expr]) -> list[Expr]:
    """The roots with some nodes replaced."""
    return transform(roots, lambda node, args: replacements.get(node) or rebuild(node, args))


def rename_sizes(roots: Sequence[Expr], sizes: Mapping[str, Dim]) -> list[Expr]:
    """The roots with named dims replaced, in the types of inputs and in attributes."""

    def rewrite(node: Expr, args: tuple[Expr, ...]) -> Expr:
        if node.op is _INPUT:
            shape = [substitute_dim(dim, sizes) for dim in node.shape]
            return variable(node.attrs["name"], node.type.with_shape(shape))
        if node.op is _CONST:
            return node
        return _make(node.op, args, map_sizes(node.attrs, sizes))

    return transform(roots, rewrite)


def map_sizes(attrs: Mapping[str, Any], sizes: Mapping[str, Dim]) -> dict[str, Any]:
    """Attributes with named dims replaced, bodies included."""

    def replace(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(replace(item) for item in value)
        if isinstance(value, Body):
            done = rename_sizes([*value.inputs, *value.outputs], sizes)
            count = len(value.inputs)
            return Body(tuple(done[:count]), tuple(done[count:]), value.depth)
        return substitute_dim(value, sizes) if isinstance(value, Size) else value

    return {key: replace(value) for key, value in attrs.items()}


def inputs_of(roots: Iterable[Expr]) -> list[Expr]:
    """The inputs that the roots read, in order of first use."""
    return [node for node in toposort(roots) if node.op is _INPUT]


def depends_on_no_input(node: Expr) -> bool:
    """Whether a value depends on no input (sizes of inputs do not count as their values)."""
    return not inputs_of([node])


def is_literal(node: Expr) -> bool:
    """Whether a node is a literal constant."""
    return node.op is _CONST


def is_input(node: Expr) -> bool:
    """Whether a node is an input of the graph."""
    return node.op is _INPUT


_OF_ONE_VALUE = (Movement.RESHAPE, Movement.BROADCAST)


def scalar_value(node: Expr) -> Any:
    """The number that a constant of one element holds, through broadcasts; else None."""
    while node.op.movement in _OF_ONE_VALUE and node.args[0].op is not _INPUT:
        node = node.args[0]
    if node.op is _CONST and node.attrs["value"].size == 1:
        return node.attrs["value"].reshape(())[()]
    return None


def _coerce_all(op: Op, args: Sequence[Expr | float | Array]) -> tuple[Expr, ...]:
    dtypes = [arg.dtype for arg in args if isinstance(arg, Expr)]
    typed = next((dtype for dtype in dtypes if dtype != "bool"), dtypes[0] if dtypes else None)
    return tuple(
        arg if isinstance(arg, Expr) else const(_fitting(arg, typed), typed) for arg in args
    )


def _fitting(value: float | Array, dtype: str | None) -> float | Array:
    """Refuse a number that the other operand's dtype cannot hold at all."""
    if dtype is not None and np.ndim(value) == 0 and numpy_dtype(dtype).kind in "iu":
        info = np.iinfo(numpy_dtype(dtype))
        if value != int(value) or not info.min <= value <= info.max:
            raise DtypeError(f"the number {value} does not fit the dtype {dtype}")
    return value


def _make(op: Op, args: tuple[Expr, ...], attrs: Mapping[str, Any]) -> Expr:
    key = (op.name, args, tuple(sorted((k, type(v).__name__, v) for k, v in attrs.items())))
    with _LOCK:
        known = _INTERNED.get(key)
    if known is not None:
        return known
    if attrs.keys() != op.attributes:
        raise TypeError(f"{op.name} has the attributes {sorted(op.attributes)}, got {[*attrs]}")
    with collect_constraints() as constraints:
        try:
            type_ = op.infer(*(arg.type for arg in args), **attrs)
        except SpecializationError:
            raise
        except InputError as error:
            listed = ", ".join(str(arg.type) for arg in args)
            text = f"{op.name}({listed}): {error}"
            refusal = error.reworded(text)
            refusal.reason = str(error)
            raise refusal from None
    return _intern(key, op, args, attrs, type_, tuple(constraints))


def _intern(
    key: tuple[Any, ...],
    op: Op,
    args: tuple[Expr, ...],
    attrs: Mapping[str, Any],
    type_: TensorType,
    constraints: tuple[Constraint, ...],
) -> Expr:
    with _LOCK:
        known = _INTERNED.get(key)
        if known is not None:
            return known
        node = object.__new__(Expr)
        for name, value in (
            ("op", op), ("args", args), ("attrs", attrs), ("type", type_),
            ("constraints", constraints),
        ):  # fmt: skip
            object.__setattr__(node, name, value)
        _INTERNED[key] = node
        return node


def _leaf(*_: object, **__: object) -> Any:
    raise AssertionError("leaves are built by const() and variable()")


_CONST = register(Op("Const", _leaf, _leaf, lambda ct, out, **_: (), _leaf))
_INPUT = register(Op("Input", _leaf, _leaf, lambda ct, out, **_: (), _leaf))
