"""What a loss takes: one declaration for each argument of a call, and how a call is bound to them.

A ``Signature`` is made once for each class or function (see ``annotations``). Arguments are flat:
each array has a name of its own, those of ``*inputs`` are called ``inputs_0``, ``inputs_1``, ..
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property, lru_cache
from itertools import takewhile
from typing import Any

from ..errors import InputError
from ..symbolic.arguments import Check

_EMPTY = inspect.Parameter.empty


class Kind(Enum):
    """What an argument is."""

    ARRAY = "array"  # an input of the graph
    OPTION = "option"  # a constant of the graph, unless an array is given for it
    SCALAR = "scalar"  # an ``Input`` among the options: one number, which is an input of the graph
    INPUTS = "inputs"  # ``*inputs``: any number of arrays
    OTHERS = "others"  # ``**others``: arrays and options of any name


@dataclass(frozen=True)
class Domain:
    """Where a loss is a number, of an input whose elements are real numbers.

    Attributes:
        low: the least number of the domain.
        high: the largest.
        when: with which options, given by name, that is so; with all if None.
        refused: whether what is outside is an error, as in the framework that the loss follows.
    """

    low: float = -math.inf
    high: float = math.inf
    when: Callable[[Mapping[str, Any]], Any] | None = None
    refused: bool = False

    def __str__(self) -> str:
        if math.isinf(self.high):
            return f"at least {self.low:g}"
        return (
            f"at most {self.high:g}" if math.isinf(self.low) else f"{self.low:g} to {self.high:g}"
        )


@dataclass(frozen=True)
class Role:
    """What else is declared of an argument.

    Attributes:
        gradient: whether there is a derivative by it; class labels and lengths have none.
        number: whether a call may give a Python number for the array.
        held: whether the constructor may be given the array, as an attribute of its name. A call
            without it takes it from there; in a graph without such an input it is a constant.
        constant: whether the graph's form depends on the option's value, so that no ``Input`` can
            stand for it.
        domain: where the loss is a number, of an array.
    """

    gradient: bool = True
    number: bool = False
    held: bool = False
    constant: bool = False
    domain: Domain | None = None


ORDINARY = Role()


@dataclass(frozen=True)
class Parameter:
    """The declaration of one argument.

    Attributes:
        name: its name; of ``*inputs`` the common part of the names.
        kind: what it is.
        role: what else is declared of it.
        default: its value where a call gives none; empty if a call must give one.
        annotation: its annotation as it is written.
        keyword_only: whether it is given by name only.
        added: whether it gives up its place among the positional arguments if it is given by name:
            an input that a loss made of losses has beside theirs.
        check: what an option must be, None where its annotation does not say it.
    """

    name: str
    kind: Kind
    role: Role = ORDINARY
    default: Any = _EMPTY
    annotation: Any = _EMPTY
    keyword_only: bool = False
    added: bool = False
    check: Check | None = field(default=None, compare=False)

    @property
    def required(self) -> bool:
        """Whether a call must give it."""
        return self.default is _EMPTY and self.kind not in (Kind.INPUTS, Kind.OTHERS)

    @property
    def is_number(self) -> bool:
        """Whether an option is a mere number, for which an ``Input`` can stand."""
        if self.role.constant or self.role.held:
            return False
        if self.annotation is _EMPTY:
            return not isinstance(self.default, (bool, str))
        return self.annotation in ("Any", Any) or "float" in str(self.annotation)

    @property
    def takes_number(self) -> bool:
        """Whether a number stands for an array of rank 0.

        An argument without an annotation may be meant as a number by the body.
        """
        declared = self.kind is Kind.ARRAY and self.annotation is not _EMPTY
        return declared or self.role.number

    def allows(self, value: Any) -> bool:
        """Whether an option can be this value, by its annotation."""
        return self.check is None or self.check.holds(value)

    def __str__(self) -> str:
        stars = {Kind.INPUTS: "*", Kind.OTHERS: "**"}.get(self.kind, "")
        default = "" if self.default is _EMPTY else f"={self.default!r}"
        return f"{stars}{self.name}{default}"

    def as_inspect(self) -> inspect.Parameter:
        """The same for Python's ``inspect``."""
        kind: Any = inspect.Parameter.POSITIONAL_OR_KEYWORD
        if self.kind is Kind.INPUTS:
            kind = inspect.Parameter.VAR_POSITIONAL
        elif self.kind is Kind.OTHERS:
            kind = inspect.Parameter.VAR_KEYWORD
        elif self.keyword_only:
            kind = inspect.Parameter.KEYWORD_ONLY
        return inspect.Parameter(self.name, kind, default=self.default, annotation=self.annotation)


@dataclass(frozen=True, eq=False)
class Signature:
    """The arguments of a loss, in order."""

    parameters: tuple[Parameter, ...]

    def __str__(self) -> str:
        return f"({', '.join(map(str, self.parameters))})"

    @cached_property
    def by_name(self) -> dict[str, Parameter]:
        """The parameters by name."""
        return {p.name: p for p in self.parameters}

    @cached_property
    def inputs(self) -> Parameter | None:
        """``*inputs``."""
        return next((p for p in self.parameters if p.kind is Kind.INPUTS), None)

    @cached_property
    def others(self) -> Parameter | None:
        """``**others``."""
        return next((p for p in self.parameters if p.kind is Kind.OTHERS), None)

    @cached_property
    def arrays(self) -> tuple[str, ...]:
        """The names of the arrays; the first of ``*inputs`` if it takes nothing else."""
        found = tuple(p.name for p in self.parameters if p.kind is Kind.ARRAY)
        return found or tuple(f"{p.name}_0" for p in self.parameters)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The names of class labels and lengths, which have no gradient."""
        return tuple(p.name for p in self.parameters if not p.role.gradient)

    @cached_property
    def domains(self) -> dict[str, Domain]:
        """The domains of the arrays that have one."""
        found = {p.name: p.role.domain for p in self.parameters}
        return {name: domain for name, domain in found.items() if domain is not None}

    @cached_property
    def held(self) -> tuple[str, ...]:
        """The names of the arrays that the constructor may be given."""
        return tuple(p.name for p in self.parameters if p.role.held)

    @cached_property
    def positional(self) -> tuple[str, ...]:
        """The names of what may be given by position, without ``*inputs``."""
        kinds = (Kind.INPUTS, Kind.OTHERS)
        return tuple(p.name for p in self.parameters if not (p.keyword_only or p.kind in kinds))

    @cached_property
    def _required(self) -> tuple[str, ...]:
        return tuple(p.name for p in self.parameters if p.required)

    @cached_property
    def _added(self) -> frozenset[str]:
        return frozenset(p.name for p in self.parameters if p.added)

    @cached_property
    def _one_input(self) -> re.Pattern[str]:
        """Names of single ones of ``*inputs``."""
        return re.compile(rf"{self.inputs.name}_(0|[1-9]\d*)" if self.inputs else r"(?!)")

    def find(self, name: str) -> Parameter | None:
        """The declaration of an argument of this name, None if there is none."""
        found = self.by_name.get(name)
        if found is not None:
            return found
        return self.inputs if self._one_input.fullmatch(name) else self.others

    def without(self, names: Iterable[str]) -> Signature:
        """The same without some parameters."""
        left_out = set(names)
        return Signature(tuple(p for p in self.parameters if p.name not in left_out))

    def bind(self, owner: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of a call by their flat names, in the order of the parameters.

        Raises:
            InputError: for arguments that do not fit.
        """
        if kwargs:
            self.require_known(owner, kwargs)
        positional: Sequence[str] = self.positional
        if self._added and kwargs:
            positional = [n for n in positional if not (n in kwargs and n in self._added)]
        given = dict(zip(positional, args, strict=False))
        for name in kwargs:
            if name in given:
                raise InputError(f"{owner}{self}: multiple values for argument {name!r}")
        more = args[len(positional) :]
        if more and self.inputs is None:
            raise InputError(f"{owner}{self}: too many positional arguments")
        if kwargs or more:
            given = self._in_order({**given, **kwargs, **self._as_inputs(more)})
        for name in self._required:
            if name not in given:
                raise InputError(f"{owner}{self}: missing a required argument: {name!r}")
        return given

    def _as_inputs(self, values: Sequence[Any]) -> dict[str, Any]:
        if any(value is None for value in values):
            raise InputError(f"*{self.inputs and self.inputs.name}: expected arrays, got None")
        return {f"{self.inputs and self.inputs.name}_{i}": v for i, v in enumerate(values)}

    def _in_order(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """What is given, in the order of the parameters; those of ``*inputs`` by number."""
        found: dict[str, Any] = {}
        for p in self.parameters:
            if p.kind is Kind.INPUTS:
                found.update((name, given[name]) for name in self._numbered(given))
            elif p.kind is Kind.OTHERS:
                found.update((name, given[name]) for name in given if name not in found)
            elif p.name in given:
                found[p.name] = given[p.name]
        return found

    def _numbered(self, names: Iterable[str]) -> list[str]:
        found = [name for name in names if self._one_input.fullmatch(name)]
        return sorted(found, key=lambda name: int(name.rpartition("_")[2]))

    def unflatten(self, given: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Positional and named arguments of the function, with ``*inputs`` in their places."""
        several, left = self._numbered(given) if self.inputs else [], dict(given)
        if not several:
            return [], left
        before = takewhile(lambda p: p.kind is not Kind.INPUTS, self.parameters)
        args = [left.pop(p.name, None) for p in before]
        return args + [left.pop(name) for name in several], left

    def require_known(self, owner: str, given: Iterable[str]) -> None:
        """Refuse names that no argument has.

        Raises:
            InputError: naming them.
        """
        unknown = [name for name in given if self.find(name) is None]
        if unknown:
            raise InputError(f"{owner} takes {list(self.by_name)}: unknown {unknown}")

    def require(self, owner: str, given: Iterable[str]) -> None:
        """Refuse unknown names, and given names without one that a call must give.

        Raises:
            InputError: naming them.
        """
        names = set(given)
        self.require_known(owner, given)
        missing = [name for name in self._required if name not in names]
        if missing:
            raise InputError(f"{owner} takes {list(self.by_name)}: missing {missing}")


@lru_cache(maxsize=1024)
def with_scalars(
    signature: Signature, owner: str, names: tuple[str, ...], replaced: tuple[str, ...]
) -> Signature:
    """A signature with an argument for each input among the options, given by name.

    Args:
        signature: the declared one.
        owner: the name of the loss.
        names: the names of these inputs.
        replaced: options of the call that inputs stand for.

    Raises:
        InputError: for a name that another argument has.
    """
    kept = [p for p in signature.parameters if p.kind is Kind.ARRAY or p.name not in replaced]
    for name in names:
        if any(p.name == name for p in kept):
            raise InputError(f"{owner} has an argument {name!r}: call the Input something else")
    last = [p for p in kept if p.kind is Kind.OTHERS]
    new = [Parameter(name, Kind.SCALAR, keyword_only=True) for name in names]
    return Signature((*kept[: len(kept) - len(last)], *new, *last))


def merged(signatures: Iterable[tuple[str, Signature]], own: Iterable[Parameter]) -> Signature:
    """One signature for several losses: inputs of one name are one, those that are required first.

    Args:
        signatures: the names of the losses and their signatures.
        own: inputs beside theirs.

    Raises:
        InputError: for a loss whose inputs have no names.
    """
    found: dict[str, Parameter] = {}
    for owner, signature in signatures:
        for p in signature.parameters:
            if p.kind is Kind.INPUTS:
                raise InputError(f"{owner} takes *{p.name}: in another loss inputs need names")
            if p.kind is not Kind.OTHERS:
                found[p.name] = _joined(found.get(p.name), p)
    found |= {p.name: replace(p, added=p.name not in found) for p in own}
    return Signature(tuple(sorted(found.values(), key=lambda p: not p.required)))


def _joined(one: Parameter | None, other: Parameter) -> Parameter:
    """One parameter for two of one name: the required one, without a gradient if either is."""
    first = other if one is None or other.default is _EMPTY else one
    role = Role(
        gradient=other.role.gradient and (one is None or one.role.gradient),
        number=other.role.number or (one is not None and one.role.number),
        constant=first.role.constant,
    )
    return replace(first, role=role, keyword_only=False)
