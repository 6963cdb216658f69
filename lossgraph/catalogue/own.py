"""Losses that users wrote, by file and name: ``my_losses.py:SoftHinge``."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from ..authoring.block import Block
from ..authoring.functions import FunctionLoss
from ..authoring.signature import Kind
from ..errors import InputError
from .entry import Entry, hint


@dataclass(frozen=True)
class OwnEntry(Entry):
    """A loss of a user: a class, a function of F, or a loss that was made.

    Attributes:
        home: the module that it was found in.
        made: the loss, if it was made already.
    """

    home: ModuleType
    made: Block | None = None

    @property
    def name(self) -> str:
        """Its name: it belongs to no convention."""
        return self.own_name

    @property
    def module(self) -> ModuleType:
        """Where it is written."""
        return self.home

    @property
    def range(self) -> None:
        """Nobody has said between what its values lie."""

    @property
    def options(self) -> dict[str, Any]:
        """The options with their defaults; with their values, of a loss that was made."""
        return super().options if self.made is None else self.made.options

    @property
    def declared(self) -> dict[str, bool]:
        """Whether an input must be given, by the name of the input."""
        if self.made is None:
            return super().declared
        return {p.name: p.required for p in self.made.signature.parameters if p.kind is Kind.ARRAY}

    def make(self, options: Mapping[str, Any] | None = None) -> Block:
        """The loss with some options.

        Raises:
            InputError: for an option that it does not have, or a value that one cannot take.
        """
        if self.made is None:
            return super().make(options)
        if options:
            self._check_names(options)
            remade: Block = self.made.with_options(**options)
            return remade
        return self.made


def own_entry(text: str) -> Entry:
    """The loss of ``file.py:name``, ``file.py`` or ``package.module:name``.

    The file is run, in its folder, as ``import`` would run it. Without a name it has to hold one
    loss.

    Raises:
        InputError: for a file that is not there or does not run, and a name that is no loss in it.
    """
    place, _, name = (text, "", "") if text.endswith(".py") else text.rpartition(":")
    module = _module(place)
    losses = {n: v for n, v in vars(module).items() if _is_own_loss(v, module)}
    if not name:
        if len(losses) != 1:
            listed = ", ".join(losses) or "none"
            raise InputError(f"{place}: say which loss, {place}:NAME; it holds {listed}")
        name = next(iter(losses))
    value = getattr(module, name, None)
    if not (_is_loss_class(value) or isinstance(value, Block) or inspect.isfunction(value)):
        listed = ", ".join(losses) or "none"
        raise InputError(f"{place} has no loss {name!r}{hint(name, losses)}: it holds {listed}")
    return _entry(value, module)


def is_own(text: str) -> bool:
    """Whether a text names a loss by its file."""
    return ":" in text or text.endswith(".py")


def _entry(value: Any, module: ModuleType) -> Entry:
    if inspect.isfunction(value):
        return OwnEntry("", FunctionLoss(value), (), module)
    if isinstance(value, Block) and not isinstance(value, FunctionLoss):
        return OwnEntry("", type(value), (), module, value)
    return OwnEntry("", value, (), module)


def _is_loss_class(value: object) -> bool:
    """A base has no mathematics of its own."""
    if not isinstance(value, type) or not issubclass(value, Block):
        return False
    return value.hybrid_forward is not Block.hybrid_forward


def _is_own_loss(value: object, module: ModuleType) -> bool:
    """Whether a value of a module is a loss that was written there: a function takes F first."""
    if isinstance(value, Block):
        return True
    if getattr(value, "__module__", None) != module.__name__:
        return False
    if inspect.isfunction(value):
        first = next(iter(inspect.signature(value).parameters), None)
        return first == "F"
    return _is_loss_class(value)


def _module(place: str) -> ModuleType:
    if not place.endswith(".py"):
        return _run(place, lambda: importlib.import_module(place))
    path = Path(place).resolve()
    if not path.is_file():
        raise InputError(f"{place}: there is no such file")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module, loader = importlib.util.module_from_spec(spec), spec.loader

    def load() -> ModuleType:
        sys.modules.setdefault(path.stem, module)  # where pickle and dataclasses look for it
        sys.path.insert(0, str(path.parent))
        try:
            loader.exec_module(module)
        finally:
            sys.path.remove(str(path.parent))
        return module

    return _run(place, load)


def _run(place: str, load: Any) -> ModuleType:
    try:
        module: ModuleType = load()
    except Exception as error:  # whatever the user's code raises
        line = _line_of(error)
        where = f", line {line}" if line else ""
        raise InputError(f"{place}{where}: {type(error).__name__}: {error}") from error
    return module


def _line_of(error: Exception) -> int | None:
    """The line of the user's file that an error came from: the last one of a file's own code."""
    if isinstance(error, SyntaxError):
        return error.lineno
    trace, line = error.__traceback__, None
    while trace is not None:
        if trace.tb_frame.f_code.co_name == "<module>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
