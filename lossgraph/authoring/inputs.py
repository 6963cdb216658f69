"""Options that are inputs of the graph: known when it runs, and differentiable."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import InputError
from .signatures import is_array_parameter

_PLAIN = frozenset({bool, int, float, str, type(None), frozenset})


@dataclass(frozen=True)
class Input:
    """An input of the graph in the place of a number: ``gluon.HuberLoss(rho=lg.Input("rho"))``.

    A call then takes ``rho`` by this name, a number or an array of shape (), and so do ``to_onnx``
    and ``program``, where its type may be left out: a scalar in the dtype of the first float
    input. It has a gradient. Options may share one input.

    What a loss demands of a number, like being positive, cannot be checked: no value is known
    when the graph is made. A value outside gives whatever the formula does.

    Args:
        name: the input's name, an identifier that no other argument of the loss has.

    Raises:
        InputError: for a name that is none.
    """

    name: str

    def __post_init__(self) -> None:
        if not (isinstance(self.name, str) and self.name.isidentifier()):
            raise InputError(f"an input has a name like 'rho', not {self.name!r}")

    def __repr__(self) -> str:
        return f"Input({self.name!r})"

    def __bool__(self) -> bool:
        raise InputError(f"{self!r} stands for a number that is not known yet: it is not true")


class Holder:
    """An object that has inputs among its attributes, or in what it has there."""

    _not_held: tuple[str, ...] = ()

    @property
    def scalar_inputs(self) -> tuple[str, ...]:
        """The names of those inputs, each once."""
        names: dict[str, None] = {}
        for key, value in self.__dict__.items():  # at every call: most are plain
            if value.__class__ not in _PLAIN and key not in self._not_held:
                names.update(dict.fromkeys(_names(value)))
        return tuple(names)

    def with_inputs(self, given: Mapping[str, Any]) -> Any:
        """A copy that has arrays or numbers in the places of its inputs; itself if it has none."""
        if not self.scalar_inputs:
            return self
        copy = type(self).__new__(type(self))
        copy.__dict__.update({k: _replaced(v, given) for k, v in self._held().items()})
        return copy

    def _held(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in self._not_held}


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, Input):
        yield value.name
    elif isinstance(value, Holder):
        yield from value.scalar_inputs
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _names(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _names(item)


def _replaced(value: Any, given: Mapping[str, Any]) -> Any:
    """The same with what is given in the place of inputs, in new containers where there are any."""
    if isinstance(value, Input):
        return given[value.name]
    if isinstance(value, Holder):
        return value.with_inputs(given)
    if not any(True for _ in _names(value)):
        return value
    if isinstance(value, Mapping):
        return {key: _replaced(item, given) for key, item in value.items()}
    found = [_replaced(item, given) for item in value]
    return tuple(found) if isinstance(value, tuple) else found


def check_options(
    owner: str, function: Callable[..., Any], given: Mapping[str, Any], constant: tuple[str, ...]
) -> None:
    """Refuse inputs in the place of options that are no numbers, or that choose the code.

    Args:
        owner: the name of the loss.
        function: the body or constructor, whose annotations say which options are numbers.
        given: values of its parameters, by name.
        constant: the options that must be numbers.

    Raises:
        InputError: naming the option.
    """
    parameters = inspect.signature(function).parameters
    for name, value in given.items():
        if not isinstance(value, Input) or name not in parameters:
            continue
        if name in constant or not _is_number(parameters[name]):
            raise InputError(
                f"{owner}: {name} cannot be {value!r}: the graph depends on its value, "
                "only options that are mere numbers can be inputs"
            )


def _is_number(parameter: inspect.Parameter) -> bool:
    """An annotation says so, or says nothing."""
    annotation = parameter.annotation
    if annotation is parameter.empty:
        return not isinstance(parameter.default, (bool, str))
    return annotation in ("Any", Any) or "float" in str(annotation)


def with_scalars(
    owner: str, signature: inspect.Signature, names: tuple[str, ...], options: Mapping[str, Any]
) -> inspect.Signature:
    """A signature whose options that are inputs are replaced by these, which have names only.

    Raises:
        InputError: for a name that another argument has.
    """
    parameters = [
        p
        for p in signature.parameters.values()
        if is_array_parameter(p) or not isinstance(options.get(p.name), Input)
    ]
    for name in names:
        if any(p.name == name for p in parameters):
            raise InputError(f"{owner} has an argument {name!r}: call the Input something else")
    last = [p for p in parameters if p.kind is p.VAR_KEYWORD]
    new = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in names]
    return signature.replace(parameters=[*parameters[: len(parameters) - len(last)], *new, *last])
