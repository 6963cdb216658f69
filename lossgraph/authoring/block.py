"""What every loss can do, whatever framework it comes from: be called, differentiated, exported.

A subclass says its mathematics in ``hybrid_forward(self, F, ...)``. Called with arrays a loss
compiles itself once for each signature; called with symbols it is part of another loss.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import reference, symbolic
from ..compiler.program import Program, build
from ..errors import DtypeError, GradientError, InputError, SpecializationError
from ..ir.dims import Dim, evaluate, named
from ..ir.dims import names as dim_names
from ..ir.expr import Expr
from ..ir.types import TensorType, dtype_name, numpy_dtype, tensor_type
from ..runtime.arrays import device_of, is_array, stand_in, to_numpy
from ..runtime.compiled import Compiled, common_device
from ..symbolic.symbol import Symbol
from .inputs import Holder, Input, check_options, with_scalars
from .named_outputs import compile_program
from .signatures import as_positional, flat_arguments, is_array_parameter, is_known, without_first

if TYPE_CHECKING:
    import onnx

InputTypes = Mapping[str, "TensorType | tuple[Any, Sequence[Any]]"]


_NOT_STATE = ("_cache", "_cached_for", "_lock")


class Block(Holder):
    """An object whose ``hybrid_forward`` is compiled: attributes are its options.

    Setting an attribute makes it compile again; so does setting one of a loss inside it.
    """

    # Inputs that are class labels or lengths, though only compared: they have no gradient.
    without_gradient: tuple[str, ...] = ()
    # Inputs that a call may give as numbers, which elsewhere are options.
    number_inputs: tuple[str, ...] = ()
    # Inputs that the constructor may be given too, as attributes of these names. A call takes them
    # from there if it has none of its own; in a graph without such an input they are constant.
    tensor_options: tuple[str, ...] = ()
    # Options of a call, which are numbers and tuples of them where elsewhere those are arrays.
    number_options: frozenset[str] = frozenset()
    # Float options on whose value the graph's form depends, so that no `Input` can stand for them.
    constant_options: tuple[str, ...] = ()
    _not_held = _NOT_STATE

    _cache: dict[Any, Any]
    _cached_for: tuple[Any, ...]
    _lock: threading.RLock
    _version: int

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        self = super().__new__(cls)
        self.__dict__.update(_cache={}, _cached_for=(), _lock=threading.RLock(), _version=0)
        if any(isinstance(value, Input) for value in (*args, *kwargs.values())):
            names = list(inspect.signature(cls.__init__).parameters)[1:]
            fixed = (*cls.constant_options, *cls.tensor_options)
            given = {**dict(zip(names, args, strict=False)), **kwargs}
            check_options(cls.__name__, cls.__init__, given, fixed)
        return self

    def __setattr__(self, name: str, value: Any) -> None:
        self.__dict__["_version"] += 1
        object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        options = ", ".join(f"{key}={value!r}" for key, value in self.options.items())
        return f"{self.name}({options})"

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in _NOT_STATE}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def hybrid_forward(self, F: Any, *args: Any, **kwargs: Any) -> Any:
        """The mathematics: from symbols or reference arrays to one, or a tuple of them.

        ``(value, {name: part})`` has parts beside the value, of which no gradient is taken.
        """
        raise NotImplementedError(f"{type(self).__name__} has no hybrid_forward")

    def prepare(self, arrays: Mapping[str, Any]) -> dict[str, Any]:
        """The arrays of a call as the graph takes them."""
        return dict(arrays)

    def check_shapes(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Refuse shapes of a call that a graph, which knows lengths by name, cannot refuse."""
        self.require_shapes(shapes)

    def require_shapes(self, shapes: Mapping[str, tuple[Any, ...]]) -> None:
        """Refuse shapes, of a call or of a graph, where lengths may have names."""

    def labels_among(self, types: Mapping[str, TensorType]) -> tuple[str, ...]:
        """Inputs of these types that have no gradient whatever their dtype."""
        return self.without_gradient

    @property
    def name(self) -> str:
        """The name of the loss: its class's."""
        return type(self).__name__

    @property
    def arguments(self) -> tuple[str, ...]:
        """The names of the arrays that a call may take, in order; the first of ``*inputs``."""
        parameters = self._signature().parameters
        found = tuple(name for name, p in parameters.items() if is_array_parameter(p))
        return found or tuple(f"{name}_0" for name in parameters)

    @property
    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the inputs whose names depend on the options, so that no signature has them."""
        return {}

    @property
    def options(self) -> dict[str, Any]:
        """The public options and their values."""
        plain = (bool, int, float, str, type(None), tuple, Input)
        return {
            key.lstrip("_"): value
            for key, value in sorted(self.__dict__.items())
            if isinstance(value, plain)
            and key not in (*_NOT_STATE, "_version", "_prefix", *self.tensor_options)
        }

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The value: an array of the kind of the first argument."""
        arrays, constants = self._bind_call(args, kwargs)
        if any(isinstance(value, Symbol) for value in arrays.values()):
            return self._forward(symbolic, **arrays, **constants)
        if any(isinstance(value, reference.Array) for value in arrays.values()):
            return self._forward(reference, **arrays, **constants)
        arrays = self._prepared(arrays)
        return self._compiled(arrays, constants, (), False).call(arrays)

    def value_and_grad(
        self, *args: Any, wrt: Sequence[str] | None = None, ct: Any = None, **kwargs: Any
    ) -> tuple[Any, dict[str, Any]]:
        """The value, and the gradient of its sum (or of ``<ct, value>``).

        Args:
            *args: arrays, by position or by name as in a call.
            wrt: names of the inputs to differentiate by; the first argument by default.
            ct: the cotangent, of the value's shape; a tuple of them for a tuple of values.
            **kwargs: arrays by name, and options of the call.

        Returns:
            ``(value, grads)``, grads by input name, each of its input's dtype and shape.

        Raises:
            GradientError: for an input that has no gradient.
        """
        arrays, constants = self._bind_call(args, kwargs)
        chosen = tuple([next(iter(arrays))] if wrt is None else _names(wrt))
        if not chosen:
            return self(*args, **kwargs), {}
        arrays = self._prepared(arrays)
        compiled = self._compiled(arrays, constants, chosen, ct is not None)
        if ct is not None:
            arrays.update(_cotangents(ct, compiled.program))
        value, grads = compiled.call(arrays)
        return value, grads

    def to_onnx(
        self,
        inputs: InputTypes,
        grad: Sequence[str] = (),
        opset: int | None = None,
        *,
        as_function: bool = False,
        target_ort: str | None = None,
        **constants: Any,
    ) -> onnx.ModelProto:
        """A checked ONNX model of the value, and of gradients.

        Args:
            inputs: ``{"pred": ("float32", ("N", 10)), ..}``; a dim is an int or a name.
            grad: names of the inputs whose gradients are outputs too, as ``grad_<name>``.
            opset: version of the standard operators, 13 to 26; 18 by default.
            as_function: make the graph one node, whose operator is a function in the model of the
                domain ``lossgraph``. Results are the same, to the bit.
            target_ort: the release of ONNX Runtime that is to load the model, like ``1.16``: no
                newer operators are used than it has.
            **constants: options of the call that are no arrays.
        """
        program = self.program(inputs, grad=grad, **constants)
        return program.to_onnx(opset, as_function=as_function, target_ort=target_ort)

    def program(
        self,
        inputs: InputTypes,
        grad: Sequence[str] = (),
        with_ct: bool = False,
        **constants: Any,
    ) -> Program:
        """The traced, differentiated and simplified graph for given input types."""
        types = self._with_scalars(as_types(inputs), constants)
        self._check_names(types, constants)
        for label in set(_names(grad)) & set(self.labels_among(types)):
            raise GradientError(f"{label!r} is a class label or a length: it has no gradient")
        return build(
            self._forward,
            types,
            constants=constants,
            grad=_names(grad),
            with_ct=with_ct,
            name=self.name,
            options=self.options,
        )

    # --- binding arguments ---

    def _tensors(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The tensors of the constructor that a call has not given itself."""
        own = {name: getattr(self, name) for name in self.tensor_options if name not in given}
        return {name: tensor for name, tensor in own.items() if tensor is not None}

    def _forward(self, F: Any, **given: Any) -> Any:
        """``hybrid_forward``, those tensors constants in the dtype of the computation.

        The arguments of ``*inputs`` stand in their places.
        """
        own = self._tensors(given)
        if own:
            dtype = next(x.dtype for x in given.values() if hasattr(x, "dtype"))
            given |= {n: F.array(to_numpy(n, t), dtype=dtype) for n, t in own.items()}
        shapes = {n: x.shape for n, x in given.items() if hasattr(x, "shape")}
        self.require_shapes(self._without_scalars(shapes))
        bound, given = self._fill_inputs(given)
        args, named = as_positional(given, bound._signature())
        return bound.hybrid_forward(F, *args, **named)

    def _fill_inputs(self, given: dict[str, Any]) -> tuple[Block, dict[str, Any]]:
        """The loss with its inputs among the options in their places, and what else is given."""
        names = self.scalar_inputs
        if not names:
            return self, given
        bound: Block = self.with_inputs({name: given[name] for name in names})
        return bound, {n: x for n, x in given.items() if n not in names}

    def _without_scalars(self, shapes: Mapping[str, Any]) -> dict[str, Any]:
        """The shapes of the inputs that are not options; those are of shape ()."""
        left = dict(shapes)
        for name in self.scalar_inputs if () in left.values() else ():
            left.pop(name, None)
        return left

    def _with_scalars(
        self, types: Mapping[str, TensorType], constants: Mapping[str, Any]
    ) -> dict[str, TensorType]:
        """Types with those of the options that are inputs: scalars in the floats' dtype."""
        scalars = [n for n in self.scalar_inputs if n not in types and n not in constants]
        for name in set(self.scalar_inputs) & set(types):
            _require_scalar(name, types[name].shape)
        dtype = next((t.dtype for t in types.values() if t.is_float), "float32")
        return {**types, **{name: TensorType(dtype, ()) for name in scalars}}

    def _prepared(self, arrays: Mapping[str, Any]) -> dict[str, Any]:
        """The arrays that the graph takes: with the constructor's, and with numbers as scalars."""
        given = {**arrays, **self._tensors(arrays)}
        numbers = {n for n, x in arrays.items() if isinstance(x, (int, float, np.generic))}
        if numbers:  # an array may be of that kind too
            numbers &= set(self.scalar_inputs)
            dtypes = (stand_in(n, x).dtype for n, x in given.items() if n not in numbers)
            dtype = next((d for d in dtypes if d.kind not in "iub"), np.dtype("float32"))
            given |= {name: np.asarray(given[name], dtype) for name in numbers}
        return self.prepare(given)

    def _signature(self) -> inspect.Signature:
        """The inputs of the loss, those among its options too, and the options of a call."""
        return self._signature_with(self.scalar_inputs)

    def _signature_with(self, names: tuple[str, ...]) -> inspect.Signature:
        """The same, the inputs among the options being known already."""
        declared = self._declared()
        return with_scalars(self.name, declared, names, self.options) if names else declared

    def _declared(self) -> inspect.Signature:
        """The parameters of ``hybrid_forward``."""
        method = self.hybrid_forward
        if hasattr(method, "__func__"):
            return without_first(method.__func__, 2)
        return without_first(method, 1)

    def _bind_call(
        self, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Arguments as arrays and as constants, by the names of ``hybrid_forward``."""
        scalars = self.scalar_inputs
        signature = self._signature_with(scalars)
        self._check_known(kwargs, signature)
        if not args:
            args, kwargs = as_positional(kwargs, signature)
        try:
            bound = signature.bind(*args, **kwargs).arguments
        except TypeError as error:
            raise InputError(f"{self.name}{signature}: {error}") from None
        arrays, constants = {}, {}
        for name, value in flat_arguments(bound, signature):
            if name in scalars:
                arrays[name] = _number(name, value)
            elif name in self.number_options and isinstance(value, (list, tuple, np.generic)):
                constants[name] = value.item() if isinstance(value, np.generic) else tuple(value)
            elif isinstance(value, (Symbol, reference.Array)) or is_array(value):
                arrays[name] = value
            elif name in self.number_inputs and isinstance(value, (int, float)):
                arrays[name] = np.asarray(value)
            elif value is not None or signature.parameters[name].default is not None:
                constants[name] = value
        if not arrays:
            raise InputError(f"{self.name}{signature}: no argument is an array")
        return arrays, constants

    def _check_names(self, types: Mapping[str, Any], constants: Mapping[str, Any]) -> None:
        signature = self._signature()
        parameters, given = signature.parameters, {**types, **constants}
        self._check_known(given, signature)
        missing = [
            name
            for name, p in parameters.items()
            if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD and name not in given
        ]
        if missing:
            raise InputError(f"{self.name} takes {list(parameters)}: missing {missing}")

    def _check_known(self, given: Mapping[str, Any], signature: inspect.Signature) -> None:
        parameters = signature.parameters
        unknown = [name for name in given if not is_known(name, parameters)]
        if unknown:
            raise InputError(f"{self.name} takes {list(parameters)}: unknown {unknown}")

    # --- compiling for a signature ---

    def _compiled(
        self,
        arrays: dict[str, Any],
        constants: Mapping[str, Any],
        wrt: tuple[str, ...],
        with_ct: bool,
    ) -> Compiled:
        for name, value in arrays.items():
            if not isinstance(value, np.ndarray) and isinstance(value, (list, tuple)):
                arrays[name] = to_numpy(name, value)
        device = common_device(arrays)
        numpy_arrays = {name: stand_in(name, value) for name, value in arrays.items()}
        shapes = {name: array.shape for name, array in numpy_arrays.items()}
        self.check_shapes(self._without_scalars(shapes))
        key = (
            device,
            tuple((n, a.dtype.str, a.dtype.name) for n, a in numpy_arrays.items()),
            _pattern(numpy_arrays),
            tuple(sorted((k, repr(v)) for k, v in constants.items())),
            wrt,
            with_ct,
        )
        with self._lock:
            if self._cached_for != tuple(self._versions()):
                self._cache.clear()
            found = self._cache.get(key)
            if found is None:
                found = self._cache[key] = SpecializationCache(
                    self, numpy_arrays, constants, wrt, with_ct, device and device[0]
                )
            compiled: Compiled = found.get(numpy_arrays)
            # Taken after tracing, as a body may set attributes too.
            self.__dict__["_cached_for"] = tuple(self._versions())
        return compiled

    def _versions(self) -> Iterator[Any]:
        """What tells whether the options are those of the last call, losses inside included."""
        yield self._version
        for name, value in self.__dict__.items():
            if name not in _NOT_STATE:
                yield from _state(value)


def _state(value: Any) -> Iterator[Any]:
    """The state of what can change without an attribute being set: losses and containers."""
    if isinstance(value, Block):
        yield from value._versions()
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield key
            yield from _content(item)
    elif isinstance(value, (list, tuple, set)):
        yield len(value)
        for item in value:
            yield from _content(item)


def _content(item: Any) -> Iterator[Any]:
    if isinstance(item, (Block, Mapping, list, tuple, set)):
        yield from _state(item)
    else:
        yield repr(item)


class SpecializationCache:
    """The compiled forms of one signature: one, or one for each value of specialized dims."""

    def __init__(
        self,
        block: Block,
        arrays: Mapping[str, np.ndarray[Any, Any]],
        constants: Mapping[str, Any],
        wrt: tuple[str, ...],
        with_ct: bool,
        provider: str | None,
    ) -> None:
        self._provider = provider
        self._build: Callable[[InputTypes], Program] = lambda types: block.program(
            types, wrt, with_ct, **constants
        )
        self._shapes = symbolic_shapes(arrays)
        self._special: tuple[str, ...] = ()
        self._made: dict[tuple[int, ...], Compiled] = {}

    def get(self, arrays: Mapping[str, np.ndarray[Any, Any]]) -> Compiled:
        lengths = {
            dim.name or "": length
            for name, array in arrays.items()
            for dim, length in zip(self._shapes[name], array.shape, strict=True)
            if not isinstance(dim, int)
        }
        while True:
            values = tuple(lengths[name] for name in self._special)
            try:
                compiled = self._made.get(values) or self._make(arrays, values)
                _check_constraints(compiled.program, lengths)
            except SpecializationError as needed:
                fresh = [name for name in needed.names if name in set(lengths) - set(self._special)]
                if not fresh:
                    raise
                self._special += tuple(fresh)
                self._made.clear()
            else:
                return compiled

    def _make(
        self, arrays: Mapping[str, np.ndarray[Any, Any]], values: tuple[int, ...]
    ) -> Compiled:
        static = dict(zip(self._special, values, strict=True))
        types = {
            name: TensorType(_native_dtype(name, array), _with(self._shapes[name], static))
            for name, array in arrays.items()
        }
        self._made[values] = compile_program(self._build(types), self._provider)
        return self._made[values]


def symbolic_shapes(
    arrays: Mapping[str, np.ndarray[Any, Any]],
) -> dict[str, tuple[Dim, ...]]:
    """Shapes with names for lengths: equal lengths share one, a length of 1 stays 1."""
    known: dict[int, Dim] = {1: 1}

    def dim(name: str, axis: int, length: int) -> Dim:
        return known.setdefault(length, named(f"{name.replace('.', '_')}_{axis}"))

    return {
        name: tuple(dim(name, axis, length) for axis, length in enumerate(a.shape))
        for name, a in arrays.items()
    }


def _pattern(arrays: Mapping[str, np.ndarray[Any, Any]]) -> tuple[tuple[int, ...], ...]:
    """Which lengths are 1 and which are equal, as small numbers."""
    known: dict[int, int] = {1: 0}
    return tuple(
        tuple(known.setdefault(n, len(known)) for n in array.shape) for array in arrays.values()
    )


def _check_constraints(program: Program, lengths: Mapping[str, int]) -> None:
    """A derived size that is not what it met may be a 1 that broadcasts: trace with its value."""
    for left, right in program.constraints:
        if evaluate(left, lengths) != evaluate(right, lengths):
            names = tuple(sorted(dim_names(left) | dim_names(right)))
            raise SpecializationError(names, f"sizes {left} and {right} differ")


def _with(shape: Sequence[Dim], static: Mapping[str, int]) -> tuple[Dim, ...]:
    return tuple(d if isinstance(d, int) else static.get(d.name or "", d) for d in shape)


def _native_dtype(name: str, array: np.ndarray[Any, Any]) -> str:
    try:
        return dtype_name(array.dtype.newbyteorder("="))
    except InputError as error:
        raise type(error)(f"{name}: {error}") from None


def as_types(inputs: InputTypes) -> dict[str, TensorType]:
    """Types of inputs as users give them."""
    if not isinstance(inputs, Mapping):
        raise InputError(f"inputs: expected a mapping of names to types, got {inputs!r}")
    return {
        name: given if isinstance(given, TensorType) else _as_type(name, given)
        for name, given in inputs.items()
    }


def _as_type(name: str, given: Any) -> TensorType:
    try:
        dtype, shape = given
    except (TypeError, ValueError):
        raise InputError(
            f"inputs[{name!r}]: expected (dtype, shape) like ('float32', ('N', 10)), got {given!r}"
        ) from None
    try:
        return tensor_type(dtype, shape)
    except InputError as error:
        raise type(error)(f"inputs[{name!r}]: {error}") from None


def _number(name: str, value: Any) -> Any:
    """What a call gives for an option that is an input."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    if isinstance(value, (Symbol, reference.Array)) or is_array(value):
        _require_scalar(name, value.shape if hasattr(value, "shape") else np.shape(value))
        return value
    raise InputError(f"{name}: expected a number or an array of shape (), got {value!r}")


def _require_scalar(name: str, shape: Sequence[Any]) -> None:
    if len(shape):
        raise InputError(f"{name}: expected one number, of shape (), got {tuple(shape)}")


def _names(names: Sequence[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _cotangents(ct: Any, program: Program) -> dict[str, Any]:
    if program.several and (not isinstance(ct, (tuple, list)) or len(ct) != len(program.values)):
        raise InputError(f"ct: expected one for each of the {len(program.values)} values")
    given = dict(enumerate(ct)) if program.several else {0: ct}
    return {
        node.attrs["name"]: _cotangent(node, given[i])
        for i, node in enumerate(program.inputs[-len(given) :])
    }


def _cotangent(node: Expr, ct: Any) -> Any:
    """A cotangent in its value's dtype; a number weighs a value of one element."""
    if device_of(ct) is not None:
        return ct
    array = to_numpy(node.attrs["name"], ct)
    if array.dtype.kind not in "iufb" and array.dtype.name != "bfloat16":
        raise DtypeError(f"{node.attrs['name']}: expected numbers, got dtype {array.dtype}")
    array = array.astype(numpy_dtype(node.dtype), copy=False)
    return array.reshape((1,) * node.rank) if array.ndim == 0 else array
