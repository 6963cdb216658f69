"""What every loss can do, whatever framework it comes from: be called, differentiated, exported.

A subclass says its mathematics in ``hybrid_forward(self, F, ...)``. Called with arrays a loss
compiles itself once for each signature; called with symbols it is part of another loss.
"""

from __future__ import annotations

import inspect
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .. import reference, symbolic
from ..compiler.program import Program, build, stages
from ..errors import DtypeError, GradientError, InputError, SpecializationError
from ..ir.expr import Expr
from ..ir.types import TensorType
from ..runtime.arrays import stand_in, to_numpy
from ..runtime.compiled import Compiled, common_device
from ..symbolic.arguments import checked
from ..symbolic.symbol import Symbol
from .annotations import signature_of, signature_of_method
from .binding import bind_call
from .cache import CompiledVariants, SpecializationCache
from .constructors import check_constructor, constructor_of, options_by_name
from .cotangents import cotangents
from .description import card_of
from .domains import explain_nan, refuse_outside
from .fast_calls import FastCalls, Held, held_by
from .input_types import Arrays, InputTypes, as_types, length_pattern
from .inputs import Input, numbers_as_arrays, with_scalar_types
from .shapes import shown
from .signature import Signature, with_scalars
from .state import Holder, frozen, frozen_attributes
from .untyped import require_types

if TYPE_CHECKING:
    import onnx

_VALUE = object()  # a call for the value alone, beside those by what they differentiate
_SHOWN = (bool, int, float, str, type(None), tuple, Input)


class Block(Holder):
    """An object whose ``hybrid_forward`` is compiled: attributes are its options.

    The arguments of ``hybrid_forward`` declare what a call takes (see ``annotations``). Options
    are meant to stay as they are, ``with_options`` makes a loss with others; one that is set, or
    changed inside a container, makes the next call compile again.
    """

    __slots__ = ("_compiled_variants", "_constructed_with", "_fast_calls")
    _compiled_variants: CompiledVariants
    _fast_calls: FastCalls
    _constructed_with: tuple[tuple[Any, ...], dict[str, Any]]

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        self = super().__new__(cls)
        self._compiled_variants = CompiledVariants()
        self._fast_calls = FastCalls()
        self._constructed_with = args, kwargs
        if args or kwargs:
            check_constructor(cls, self._declared().held, args, kwargs)
        return self

    def __repr__(self) -> str:
        shown = self.shown_options().items()
        return f"{self.name}({', '.join(f'{name}={text}' for name, text in shown)})"

    def _repr_html_(self) -> str:
        return card_of(
            self.name,
            inspect.cleandoc(self.__doc__ or ""),
            self.shown_options(),
            self.signature,
            self.parameter_shapes,
        )

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_constructed_with": self._constructed_with}

    def __setstate__(self, state: dict[str, Any]) -> None:
        attributes = dict(state)
        self._constructed_with = attributes.pop("_constructed_with", ((), {}))
        self.__dict__.update(attributes)

    def hybrid_forward(self, F: Any, *args: Any, **kwargs: Any) -> Any:
        """The mathematics: from symbols or reference arrays to one, or a tuple of them.

        ``(value, {name: part})`` has parts beside the value, of which no gradient is taken.
        """
        raise NotImplementedError(f"{type(self).__name__} has no hybrid_forward")

    def prepare(self, arrays: Mapping[str, Any]) -> dict[str, Any]:
        """The arrays of a call as the graph takes them."""
        return dict(arrays)

    def check_shapes(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Refuse the shapes of a call, in which every length is known."""
        self.require_shapes(shapes)

    def require_shapes(self, shapes: Mapping[str, tuple[Any, ...]]) -> None:
        """Refuse the shapes of a call or of a graph; in a graph a length may be a name."""

    def labels_among(self, types: Mapping[str, TensorType]) -> tuple[str, ...]:
        """The inputs that have no gradient even if they are floats, given the types of all."""
        return self.signature.labels

    @property
    def name(self) -> str:
        """The name of the loss: its class's."""
        return type(self).__name__

    @property
    def signature(self) -> Signature:
        """What a call takes: arrays, inputs among the options, and options of the call."""
        declared, names = self._declared(), self.scalar_inputs
        if not names:
            return declared
        replaced = (n for n, value in self.options.items() if isinstance(value, Input))
        return with_scalars(declared, self.name, names, tuple(replaced))

    @property
    def arguments(self) -> tuple[str, ...]:
        """The names of the arrays that a call may take, in order; the first of ``*inputs``."""
        return self.signature.arrays

    @property
    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the inputs whose names depend on the options, so that no signature has them."""
        return {}

    @property
    def options(self) -> dict[str, Any]:
        """The public options and their values."""
        hidden = ("_prefix", *self._declared().held)
        return {
            key.lstrip("_"): value
            for key, value in sorted(self.__dict__.items())
            if isinstance(value, _SHOWN) and key not in hidden
        }

    def shown_options(self) -> dict[str, str]:
        """The options as texts, in the order of the constructor; of tensors dtype and shape."""
        tensors = {name: stand_in(name, x) for name, x in self._own_tensors({}).items()}
        texts = {name: repr(value) for name, value in self.options.items()}
        texts |= {name: f"{x.dtype}{list(x.shape)}" for name, x in tensors.items()}
        first = [name for name in constructor_of(type(self)).by_name if name in texts]
        return {name: texts[name] for name in dict.fromkeys((*first, *texts))}

    def with_options(self, **options: Any) -> Any:
        """A loss made as this one was, but with other options of its constructor.

        Attributes that have been set since this one was made are not taken over.
        """
        args, kwargs = self._constructed_with
        given = options_by_name(type(self), args, kwargs)
        if len(given) < len(args) + len(kwargs):  # some stand in an ``*args``
            return type(self)(*args, **{**kwargs, **options})
        return type(self)(**{**given, **options})

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The value: an array of the kind of the first argument."""
        call = self._fast_calls.find(_VALUE, args, kwargs)
        if call is not None:
            return call((*args, *kwargs.values()))
        held = held_by(self)
        arrays, constants = bind_call(self.signature, self.name, args, kwargs)
        if any(isinstance(value, Symbol) for value in arrays.values()):
            require_types(self, arrays)
            return self._forward(symbolic, **arrays, **constants)
        if any(isinstance(value, reference.Array) for value in arrays.values()):
            return self._forward(reference, **arrays, **constants)
        arrays = self._prepared(arrays)
        compiled = self._compiled(arrays, constants, (), False)
        value = compiled.call(arrays)
        self._explain_nan(value, arrays, constants)
        if not constants:
            self._keep_fast(held, _VALUE, arrays, kwargs, compiled)
        return value

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
        mode = tuple(wrt) if isinstance(wrt, list) else wrt
        call = self._fast_calls.find(mode, args, kwargs) if ct is None else None
        if call is not None:
            return call((*args, *kwargs.values()))
        held = held_by(self)
        arrays, constants = bind_call(self.signature, self.name, args, kwargs)
        chosen = tuple([next(iter(arrays))] if wrt is None else _names(wrt, "wrt"))
        if not chosen:
            return self(*args, **kwargs), {}
        arrays = self._prepared(arrays)
        compiled = self._compiled(arrays, constants, chosen, ct is not None)
        if ct is not None:
            arrays.update(cotangents(ct, compiled.program))
        value, grads = compiled.call(arrays)
        self._explain_nan(value, arrays, constants)
        if ct is None and not constants:
            self._keep_fast(held, mode, arrays, kwargs, compiled)
        return value, grads

    def _keep_fast(
        self,
        held: Held | None,
        mode: Any,
        arrays: Mapping[str, Any],
        named: Mapping[str, Any],
        compiled: Compiled,
    ) -> None:
        """Let calls like this one go past all that was found out in it."""
        domains = self._declared().domains.values()
        if type(self).prepare is not Block.prepare or any(d.refused for d in domains):
            return  # which look at the numbers

        def look_at(answer: Any, given: Mapping[str, Any]) -> None:
            self._explain_nan(answer if mode is _VALUE else answer[0], given, {})

        seen = look_at if domains else None
        self._fast_calls.keep(held, mode, arrays, named, compiled, seen)

    @checked
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

    @checked
    def program(
        self,
        inputs: InputTypes,
        grad: Sequence[str] = (),
        with_ct: bool = False,
        **constants: Any,
    ) -> Program:
        """The traced, differentiated and simplified graph for given input types."""
        types = with_scalar_types(as_types(inputs), self.scalar_inputs, constants)
        self.signature.require(self.name, {**types, **constants})
        numbers = {n: t for n, x in constants.items() if (t := self._type_of(n, x))}
        labels = self.labels_among(types | numbers)
        for label in set(_names(grad)) & set(labels):
            raise GradientError(f"{label!r} is a class label or a length: it has no gradient")
        return build(
            self._forward,
            types,
            constants=constants,
            grad=_names(grad),
            with_ct=with_ct,
            name=self.name,
            options=self.options,
            without_gradient=labels,
        )

    @checked
    def stages(
        self, inputs: InputTypes, grad: Sequence[str] = (), **constants: Any
    ) -> Iterator[tuple[str, dict[str, Expr]]]:
        """What the compiler makes of the loss, as ``(stage, expressions by output name)``."""
        program = self.program(inputs, grad, **constants)
        types = {node.attrs["name"]: node.type for node in program.inputs}
        return stages(self._forward, types, program.wrt, constants=constants)

    def _forward(self, F: Any, **given: Any) -> Any:
        """``hybrid_forward`` on arguments by their flat names.

        Arrays that the constructor was given are constants in the dtype of the computation, inputs
        among the options stand in their places, and so do those of ``*inputs``.
        """
        own = self._own_tensors(given)
        given = {n: self._as_array(F, n, value) for n, value in given.items()}
        if own:
            dtype = next(x.dtype for x in given.values() if hasattr(x, "dtype"))
            given |= {n: F.array(to_numpy(n, t), dtype=dtype) for n, t in own.items()}
        shapes = {n: x.shape for n, x in given.items() if hasattr(x, "shape")}
        self.require_shapes(self._without_scalars(shapes))
        loss, given = self._with_scalars_placed(given)
        args, named = loss.signature.unflatten(given)
        try:
            return loss.hybrid_forward(F, *args, **named)
        except InputError as error:
            raise self._in_words_of_inputs(error, given) from None

    def _in_words_of_inputs(self, error: InputError, given: Mapping[str, Any]) -> InputError:
        """What an operator refuses, said of the inputs of a loss whose body its user did not write.

        To who wrote the body the operators are what says where the mistake is.
        """
        reason, error.reason = error.reason, None
        if reason is None or isinstance(error, SpecializationError) or not self._is_built_in:
            return error
        arrays = {n: x for n, x in given.items() if hasattr(x, "shape") and hasattr(x, "dtype")}
        listed = ", ".join(
            f"{n} {x.dtype}" if isinstance(error, DtypeError) else f"{n} of shape {shown(x.shape)}"
            for n, x in arrays.items()
        )
        return error.reworded(f"{self.name} does not take {listed}{reason and f': {reason}'}")

    @property
    def _is_built_in(self) -> bool:
        """Whether the body is one of this package."""
        return type(self).__module__.partition(".")[0] == __package__.partition(".")[0]

    def _as_array(self, F: Any, name: str, value: Any) -> Any:
        """A number as a constant of rank 0 where an array is declared."""
        type_ = self._type_of(name, value)
        if type_ is None:
            return value
        return F.array(value, dtype=None if type_.is_float else type_.dtype)

    def _type_of(self, name: str, value: Any) -> TensorType | None:
        """The type of the array that a number stands for; None where it is an option."""
        if not isinstance(value, (int, float)):
            return None
        parameter = self.signature.find(name)
        if parameter is None or not parameter.takes_number:
            return None
        return TensorType("float32" if isinstance(value, float) else "int64", ())

    def _with_scalars_placed(self, given: dict[str, Any]) -> tuple[Block, dict[str, Any]]:
        """The loss with values in place of the ``Input`` options, and the other arguments."""
        names = self.scalar_inputs
        if not names:
            return self, given
        loss: Block = self.with_inputs({name: given[name] for name in names})
        return loss, {n: x for n, x in given.items() if n not in names}

    def _without_scalars(self, shapes: Mapping[str, Any]) -> dict[str, Any]:
        """The shapes without those of ``Input`` options."""
        left = dict(shapes)
        for name in self.scalar_inputs if () in left.values() else ():
            left.pop(name, None)
        return left

    def _declared(self) -> Signature:
        """The arguments of ``hybrid_forward``."""
        own = self.__dict__.get("hybrid_forward")
        if own is not None:
            return signature_of(own, 1)
        return signature_of_method(type(self), "hybrid_forward", 2)

    def _own_tensors(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The constructor's tensors that the call does not replace."""
        held = self._declared().held
        own = {name: getattr(self, name) for name in held if name not in given}
        return {name: tensor for name, tensor in own.items() if tensor is not None}

    def _prepared(self, arrays: dict[str, Any]) -> dict[str, Any]:
        """The arrays that the graph takes: with the constructor's, and with numbers as scalars."""
        given = {**arrays, **self._own_tensors(arrays)}
        if self._declared().domains:
            refuse_outside(self.name, self._declared(), given)
        return self.prepare(numbers_as_arrays(given, self.scalar_inputs))

    def _explain_nan(
        self, value: Any, arrays: Mapping[str, Any], constants: Mapping[str, Any]
    ) -> None:
        if self._declared().domains:
            options = {**self.options, **constants}
            explain_nan(self.name, value, self._declared(), arrays, options)

    def frozen_state(self) -> Hashable:
        """Its attributes as one value, without the tensors that are inputs of the graph."""
        return frozen_attributes(self, self._declared().held)

    def _compiled(
        self,
        arrays: dict[str, Any],
        constants: Mapping[str, Any],
        wrt: tuple[str, ...],
        with_ct: bool,
    ) -> Compiled:
        """The compiled variant for the arrays of a call, of which lists are converted in place."""
        for name, value in arrays.items():
            if isinstance(value, (list, tuple)):
                arrays[name] = to_numpy(name, value)
        device = common_device(arrays)
        stand_ins: Arrays = {name: stand_in(name, value) for name, value in arrays.items()}
        shapes = {name: array.shape for name, array in stand_ins.items()}
        self.check_shapes(self._without_scalars(shapes))
        call = (
            device,
            tuple((name, array.dtype) for name, array in stand_ins.items()),
            length_pattern(stand_ins),
            frozen(dict(sorted(constants.items()))) if constants else None,
            wrt,
            with_ct,
        )

        def make() -> SpecializationCache:
            def build_for(types: Mapping[str, TensorType]) -> Program:
                return self.program(types, wrt, with_ct, **constants)

            return SpecializationCache(build_for, stand_ins, device and device[0])

        return self._compiled_variants.get(self.frozen_state, call, stand_ins, make)


def _names(names: Sequence[str], what: str = "grad") -> tuple[str, ...]:
    if isinstance(names, str):
        return (names,)
    if not (isinstance(names, (list, tuple)) and all(isinstance(name, str) for name in names)):
        raise InputError(f"{what}: expected names of inputs, got {names!r}")
    return tuple(names)
