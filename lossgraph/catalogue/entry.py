"""A loss of the register: what it is called, says, takes, and plausible inputs of it."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

from ..authoring.annotations import signature_of_method
from ..authoring.block import Block
from ..authoring.functions import FunctionLoss
from ..authoring.signature import Kind
from ..errors import InputError
from .documentation import formula_of, paper_of, summary_of
from .examples import OBSERVED, Example, example, example_options
from .namespaces import FRAMEWORKS
from .ranges import RANGES, Range
from .same_losses import SAME

ExampleType = tuple[str, tuple[str | int, ...]]  # dtype and shape


@dataclass(frozen=True)
class Entry:
    """A loss of the register.

    Attributes:
        namespace: the convention it belongs to.
        source: its class, or the loss itself where that was made of a function.
        aliases: other names for it.
    """

    namespace: str
    source: type[Block] | FunctionLoss
    aliases: tuple[str, ...]

    @property
    def own_name(self) -> str:
        """Its name in its namespace."""
        return own_name_of(self.source)

    @property
    def name(self) -> str:
        """The full name, like ``gluon.HuberLoss``."""
        return f"{self.namespace}.{self.own_name}"

    @property
    def summary(self) -> str:
        """The first line of the documentation."""
        return summary_of(self.source)

    @property
    def formula(self) -> str:
        """The formula in TeX, as the documentation has it."""
        return formula_of(self.source)

    @property
    def paper(self) -> str:
        """Where it comes from, as the documentation says; empty if that does not."""
        return paper_of(self.source)

    @property
    def original(self) -> str:
        """Its name in the framework that its namespace follows; empty if there is none."""
        framework = FRAMEWORKS.get(self.namespace)
        return f"{framework}.{self.own_name}" if framework else ""

    @property
    def module(self) -> ModuleType:
        """Where it is written: the family that it belongs to."""
        written = self.source.body if isinstance(self.source, FunctionLoss) else self.source
        return import_module(written.__module__)

    @property
    def same(self) -> tuple[str, ...]:
        """Full names of the same loss in this namespace and others."""
        group = next((group for group in SAME if self.name in group), ())
        return tuple(name for name in group if name != self.name)

    @property
    def range(self) -> Range | None:
        """Between what its values lie, and where they are 0; None of a loss of a user."""
        return RANGES[self.name]

    @property
    def options(self) -> dict[str, Any]:
        """The options with their defaults: of the constructor, or of a function's call.

        One that has no default has the value of an example.
        """
        if isinstance(self.source, FunctionLoss):
            return self.source.options
        needed = example_options(self.namespace, self.own_name)
        return {
            p.name: needed[p.name] if p.default is p.empty else p.default
            for p in list(inspect.signature(self.source.__init__).parameters.values())[1:]
            if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
        }

    @property
    def inputs(self) -> dict[str, bool]:
        """Whether an input must be given, by the name of the input."""
        return {**self.declared, **dict.fromkeys(self.make().parameter_shapes, True)}

    @property
    def declared(self) -> dict[str, bool]:
        """The same of those inputs that the signature names."""
        if isinstance(self.source, FunctionLoss):
            signature = self.source.signature
        else:
            signature = signature_of_method(self.source, "hybrid_forward", 2)
        return {p.name: p.required for p in signature.parameters if p.kind is Kind.ARRAY}

    @property
    def predictions(self) -> tuple[str, ...]:
        """The inputs that training differentiates by: what a model predicts or learns.

        They are those that must be given, are real numbers and were not observed; for a loss that
        has only such as were, these.
        """
        given = self.example_types(self.make())
        real = tuple(name for name, (dtype, _) in given.items() if dtype.startswith("float"))
        return tuple(name for name in real if name not in OBSERVED) or real

    def examples(self, loss: Block) -> dict[str, Example]:
        """Plausible inputs for this loss with some options, optional inputs included."""
        declared = {
            name: example(self.namespace, self.own_name, name, loss.options)
            for name in self.declared
        }
        shapes = loss.parameter_shapes
        return {**declared, **{name: Example(shape=shape) for name, shape in shapes.items()}}

    def example_types(self, loss: Block) -> dict[str, ExampleType]:
        """Types of the inputs that this loss must have, for a user who gave none."""
        declared = self.declared
        return {n: e.type for n, e in self.examples(loss).items() if declared.get(n, True)}

    def make(self, options: Mapping[str, Any] | None = None) -> Block:
        """The loss with some options.

        Raises:
            InputError: for an option that it does not have, or a value that one cannot take.
        """
        given = {**example_options(self.namespace, self.own_name), **(options or {})}
        self._check_names(given)
        if isinstance(self.source, FunctionLoss):
            return self.source.with_options(**given)
        made: Block = self.source(**given)
        return made

    def _check_names(self, given: Mapping[str, Any]) -> None:
        options = self.options
        for name in given:
            if name not in options:
                known = ", ".join(f"{key}={value!r}" for key, value in options.items())
                raise InputError(
                    f"{self.name} has no option {name!r}{hint(name, options)}: "
                    f"its options are {known}"
                )


def own_name_of(source: type[Block] | FunctionLoss) -> str:
    """The name of a loss in its namespace."""
    return source.name if isinstance(source, FunctionLoss) else source.__name__


def hint(name: str, known: Iterable[str]) -> str:
    """What may have been meant by a name that is not known; empty if nothing is like it."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
