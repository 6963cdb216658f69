"""The array of the reference: a numpy array with the operators and methods of MXNet."""

from __future__ import annotations

import functools
import inspect
import reprlib
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar

import numpy as np

from ..errors import InputError, SpecializationError
from .dtypes import FLOAT32, Raw, as_float, common, is_float, parse, with_number
from .missing import MASK_REFUSED, missing

P = ParamSpec("P")
R = TypeVar("R")

OPERATORS: dict[str, Callable[..., Any]] = {}
METHODS = frozenset(
    [
        "abs",
        "arccos",
        "arccosh",
        "arcsin",
        "arcsinh",
        "arctan",
        "arctanh",
        "argmax",
        "argmin",
        "argsort",
        "broadcast_axes",
        "broadcast_like",
        "broadcast_to",
        "cbrt",
        "ceil",
        "clip",
        "cos",
        "cosh",
        "cumprod",
        "cumsum",
        "degrees",
        "diag",
        "dot",
        "elu",
        "erfinv",
        "exp",
        "expand_dims",
        "expm1",
        "fix",
        "flatten",
        "flip",
        "floor",
        "gelu",
        "log",
        "log10",
        "log1p",
        "log2",
        "log_sigmoid",
        "log_softmax",
        "logcumsumexp",
        "matmul",
        "max",
        "mean",
        "min",
        "mish",
        "nanprod",
        "nansum",
        "norm",
        "one_hot",
        "ones_like",
        "pad",
        "pick",
        "prod",
        "radians",
        "rcbrt",
        "reciprocal",
        "relu",
        "repeat",
        "reshape_like",
        "rint",
        "round",
        "rsqrt",
        "selu",
        "shape_array",
        "sigmoid",
        "sign",
        "sin",
        "sinh",
        "size_array",
        "slice",
        "slice_axis",
        "slice_like",
        "softmax",
        "softmin",
        "softplus",
        "softsign",
        "sort",
        "split",
        "sqrt",
        "square",
        "squeeze",
        "std",
        "sum",
        "swapaxes",
        "swish",
        "take",
        "tan",
        "tanh",
        "tile",
        "topk",
        "transpose",
        "tril",
        "triu",
        "trunc",
        "var",
        "zeros_like",
    ]
)


_COMPLEX = (np.dtype(np.complex64), np.dtype(np.complex128))


class Array:
    """A numpy array under ``value`` that computes as an MXNet array does."""

    __array_ufunc__ = None  # numpy must leave `numpy_scalar * array` to us
    __hash__ = None  # type: ignore[assignment]  # `==` is an operator

    def __init__(self, value: Any, dtype: Any = None) -> None:
        raw = value.value if isinstance(value, Array) else _numbers(value)
        self.is_truth = False  # whether its 0 and 1 are truth values, which select no elements
        self.value: Raw = raw if dtype is None else raw.astype(parse(dtype))

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of the axes."""
        return self.value.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The numpy dtype."""
        return self.value.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.value.ndim

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.value.size

    @property
    def T(self) -> Array:
        """The array with its axes in reverse order."""
        return Array(self.value.T)

    @property
    def context(self) -> str:
        """Where the array lives: always the CPU."""
        return "cpu"

    ctx = context

    def asnumpy(self) -> Raw:
        """A copy as numpy array."""
        return self.value.copy()

    def asscalar(self) -> Any:
        """The only element, as a numpy scalar."""
        return _only(self).reshape(())[()]

    def copy(self) -> Array:
        """An array of its own with the same elements."""
        return Array(self.value.copy())

    def astype(self, dtype: Any, copy: bool = True) -> Array:
        """The elements in another dtype, floats truncated towards zero."""
        return cast(self, dtype)

    def reshape(self, *shape: Any, **options: Any) -> Array:
        """As ``F.reshape``, with the shape as one tuple or as several arguments."""
        target = options.pop("shape", shape)
        if len(shape) == 1 and not isinstance(shape[0], int):
            target = shape[0]
        result: Array = OPERATORS["reshape"](self, target, **options)
        return result

    def as_in_context(self, context: Any) -> Array:
        """The array itself: the reference has one device."""
        return self

    def detach(self) -> Array:
        """The array itself: the reference has no gradients."""
        return self

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """The operator of that name with this array as first argument."""
        if name not in METHODS:
            if name.startswith("__"):  # numpy and copy ask for protocols
                raise AttributeError(f"an array has no attribute {name!r}")
            raise missing("an array", name, METHODS)
        return functools.partial(OPERATORS[name], self)

    def __getitem__(self, key: Any) -> Array:
        """NumPy's indexing, by arrays too, whose indices outside take the nearest element.

        At least one axis stays.
        """
        items = key if isinstance(key, tuple) else (key,)
        if any(isinstance(item, Array) and item.is_truth for item in items):
            raise InputError(MASK_REFUSED)
        try:
            return kept(self.value[_clipped(items, self.shape)])
        except (IndexError, TypeError, ValueError) as error:
            raise InputError(f"x[{key!r}]: {error}; x is {describe(self)}") from error

    def __iter__(self) -> Iterator[Array]:
        """The slices along the first axis."""
        return (self[index] for index in range(len(self)))

    def __len__(self) -> int:
        return len(self.value)

    def __bool__(self) -> bool:
        return bool(_only(self).reshape(()))

    def __int__(self) -> int:
        return int(_only(self).reshape(()))

    def __float__(self) -> float:
        return float(_only(self).reshape(()))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Raw:
        return np.array(self.value, dtype=dtype)

    def __repr__(self) -> str:
        return f"{self.value!r}\n<Array {describe(self)}>"

    def __neg__(self) -> Array:
        return Array(-self.value if self.dtype.kind != "b" else -as_float(self.value))

    def __abs__(self) -> Array:
        return Array(np.abs(self.value))

    def __add__(self, other: Any) -> Array:
        return arithmetic(np.add, self, other)

    def __sub__(self, other: Any) -> Array:
        return arithmetic(np.subtract, self, other)

    def __mul__(self, other: Any) -> Array:
        return arithmetic(np.multiply, self, other)

    def __truediv__(self, other: Any) -> Array:
        return arithmetic(divided, self, other)

    def __mod__(self, other: Any) -> Array:
        return arithmetic(remainder, self, other)

    def __floordiv__(self, other: Any) -> Array:
        return arithmetic(np.floor_divide, self, other)

    def __rfloordiv__(self, other: Any) -> Array:
        return arithmetic(np.floor_divide, other, self)

    def __matmul__(self, other: Any) -> Array:
        product: Array = OPERATORS["matmul"](self, other)
        return product

    def __rmatmul__(self, other: Any) -> Array:
        product: Array = OPERATORS["matmul"](Array(other), self)
        return product

    def __and__(self, other: Any) -> Array:
        return _logical(np.logical_and, "&", self, other)

    def __or__(self, other: Any) -> Array:
        return _logical(np.logical_or, "|", self, other)

    def __xor__(self, other: Any) -> Array:
        return _logical(np.logical_xor, "^", self, other)

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def __invert__(self) -> Array:
        return _logical(lambda x, _: np.logical_not(x), "~", self, 0)

    def __pow__(self, other: Any) -> Array:
        return arithmetic(raised, self, other)

    def __radd__(self, other: Any) -> Array:
        return arithmetic(np.add, other, self)

    def __rsub__(self, other: Any) -> Array:
        return arithmetic(np.subtract, other, self)

    def __rmul__(self, other: Any) -> Array:
        return arithmetic(np.multiply, other, self)

    def __rtruediv__(self, other: Any) -> Array:
        return arithmetic(divided, other, self)

    def __rmod__(self, other: Any) -> Array:
        return arithmetic(remainder, other, self)

    def __rpow__(self, other: Any) -> Array:
        return arithmetic(raised, other, self)

    def __eq__(self, other: Any) -> Array:  # type: ignore[override]
        return comparison(np.equal, self, other)

    def __ne__(self, other: Any) -> Array:  # type: ignore[override]
        return comparison(np.not_equal, self, other)

    def __gt__(self, other: Any) -> Array:
        return comparison(np.greater, self, other)

    def __ge__(self, other: Any) -> Array:
        return comparison(np.greater_equal, self, other)

    def __lt__(self, other: Any) -> Array:
        return comparison(np.less, self, other)

    def __le__(self, other: Any) -> Array:
        return comparison(np.less_equal, self, other)


def operator(function: Callable[P, R]) -> Callable[P, R]:
    """Register an operator of F: it takes MXNet's ``name=`` and fails as InputError."""
    name = function.__name__
    OPERATORS[name] = checked(name, function)
    return OPERATORS[name]


def checked(name: str, function: Callable[P, R]) -> Callable[P, R]:
    """A function of F that fails as InputError, with the call in its words."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*args: P.args, **options: P.kwargs) -> R:
        options.pop("name", None)
        for value in (*args, *options.values()):
            if isinstance(value, complex) or getattr(value, "dtype", FLOAT32) in _COMPLEX:
                raise InputError(f"F.{name}({_signature(args, options)}): numbers are real")
        try:
            bound = signature.bind(*args, **options)
            with np.errstate(all="ignore"):
                return function(*bound.args, **bound.kwargs)
        except (TypeError, ValueError, IndexError, OverflowError) as error:
            if str(error).startswith("F.") or isinstance(error, SpecializationError):
                raise  # an operator made of operators: the inner one has said where
            kind = type(error) if isinstance(error, InputError) else InputError
            raise kind(f"F.{name}({_signature(args, options)}): {error}") from error

    return call


def describe(value: Any) -> str:
    """An argument in a few letters: ``float32[2,3]`` for an array."""
    if isinstance(value, Array):
        return f"{value.dtype}[{','.join(map(str, value.shape))}]"
    return reprlib.repr(value)


def raw(value: Any) -> Raw:
    """The numpy array of an argument that has to be an array."""
    if not isinstance(value, Array):
        raise InputError(f"expected an array, got {type(value).__name__}: wrap it in F.array")
    return value.value


def floating(value: Any) -> Raw:
    """The numpy array of an argument, integers as float32."""
    return as_float(raw(value))


def kept(value: Any) -> Array:
    """An array of at least one axis: where numpy has a scalar, MXNet has shape (1,)."""
    return Array(np.atleast_1d(value))


def one_of(what: str, value: Any, choices: tuple[Any, ...]) -> Any:
    """The value itself if it is a known option."""
    if value not in choices:
        raise InputError(f"{what}: expected one of {choices}, got {value!r}")
    return value


def axis_of(axis: int, ndim: int) -> int:
    """An axis counted from the front."""
    if not isinstance(axis, (int, np.integer)):
        raise InputError(f"axis: expected an int, got {describe(axis)}")
    if not -ndim <= axis < ndim:
        raise InputError(f"axis {axis} is out of bounds: the array has {ndim} axes")
    return axis % ndim


def array(source: Any, ctx: Any = None, dtype: Any = None) -> Array:
    """An array from numbers, lists or numpy: float32 unless a dtype is given."""
    default = source.dtype if isinstance(source, Array) else FLOAT32
    return Array(source, default if dtype is None else dtype)


array = checked("array", array)


@operator
def cast(data: Array, dtype: Any) -> Array:
    """The elements in another dtype, floats truncated towards zero."""
    return Array(raw(data), dtype)


Cast = cast


def divided(left: Raw, right: Raw) -> Raw:
    """Quotient; integers divide as float32."""
    return np.asarray(np.true_divide(as_float(left), as_float(right)))


def remainder(left: Raw, right: Raw) -> Raw:
    """Remainder with the divisor's sign, and 0 for the divisor 0 as MXNet has it."""
    return np.where(right == 0, np.zeros_like(left), np.mod(left, right))


def raised(base: Raw, exponent: Raw) -> Raw:
    """Power; of integers truncated towards zero, as numpy refuses negative exponents."""
    if is_float(base.dtype):
        return np.asarray(np.power(base, exponent))
    whole = np.power(base, np.maximum(exponent, 0))
    fraction = np.power(base.astype(np.float64), exponent)
    return np.where(exponent < 0, fraction.astype(base.dtype), whole)


def arithmetic(function: Callable[[Raw, Raw], Raw], left: Any, right: Any) -> Array:
    """An operation on two operands that are arrays or numbers, broadcast as in numpy."""
    first, second = operands(left, right)
    with np.errstate(all="ignore"):
        return Array(_broadcast(function, first, second))


def comparison(function: Callable[[Raw, Raw], Raw], left: Any, right: Any) -> Array:
    """A relation as numbers 0 and 1: in the operands' float dtype, float32 for integers."""
    first, second = operands(left, right)
    dtype = as_float(first).dtype
    return truths(_broadcast(function, first, second).astype(dtype))


def truths(value: Raw) -> Array:
    """Truth values as numbers."""
    made = Array(value)
    made.is_truth = True
    return made


def _logical(function: Callable[[Raw, Raw], Raw], sign: str, left: Any, right: Any) -> Array:
    """A logical operation on what is 0 or not, in floats: integers may mean bits."""
    for value in (left, right):
        if isinstance(value, Array) and value.dtype.kind in "iu":
            raise InputError(
                f"{sign} is for truth values, like x > 0, not for the bits of {describe(value)}"
            )
    return comparison(function, left, right)


def _clipped(items: tuple[Any, ...], shape: tuple[int, ...]) -> tuple[Any, ...]:
    """An index whose arrays are integers of numpy that name elements."""
    given = sum(item is not None and item is not Ellipsis for item in items)
    axis, done = 0, []
    for item in items:
        if isinstance(item, Array):
            last = shape[axis] - 1
            item = np.clip(item.value.astype(np.int64), -last - 1, last)
        done.append(item)
        axis += len(shape) - given if item is Ellipsis else item is not None
    return tuple(done)


def operands(left: Any, right: Any) -> tuple[Raw, Raw]:
    """Both operands as numpy arrays of one dtype."""
    if isinstance(left, Array) and isinstance(right, Array):
        dtype = common(left.dtype, right.dtype)
    elif isinstance(left, Array):
        dtype = with_number(left.dtype, _number(right))
    else:
        dtype = with_number(raw(right).dtype, _number(left))
    first, second = (x.value if isinstance(x, Array) else np.asarray(x) for x in (left, right))
    return first.astype(dtype), second.astype(dtype)


def _numbers(value: Any) -> Raw:
    """An array of numbers from whatever makes one."""
    try:
        found = np.asarray(value)
    except (TypeError, ValueError):  # lists of several lengths
        found = np.empty(0, object)
    if found.dtype.kind not in "fiub" and found.dtype.name != "bfloat16":
        raise InputError(f"expected an array of numbers, got {reprlib.repr(value)}")
    return found


def _number(value: Any) -> float:
    if isinstance(value, bool | int | float | np.number | np.bool_):
        return float(value)
    kind = type(value).__name__
    raise InputError(f"cannot combine an array with {kind}: wrap it in F.array")


def _broadcast(function: Callable[[Raw, Raw], Raw], left: Raw, right: Raw) -> Raw:
    try:
        return np.asarray(function(left, right))
    except ValueError as error:
        shapes = f"{left.shape} and {right.shape}"
        raise InputError(f"shapes {shapes} do not broadcast: make them equal or 1") from error


def _only(array_: Array) -> Raw:
    if array_.size != 1:
        raise InputError(
            f"one element is needed, got {describe(array_)}: the truth of several is ambiguous"
        )
    return array_.value


def _signature(args: tuple[Any, ...], options: dict[str, Any]) -> str:
    named = [f"{name}={describe(value)}" for name, value in options.items()]
    return ", ".join([describe(arg) for arg in args] + named)
