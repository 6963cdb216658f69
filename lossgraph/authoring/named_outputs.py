"""Compiled losses with named parts: the value comes with what it was made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..compiler.program import Program
from ..runtime.compiled import Compiled


class CompiledNamedOutputs(Compiled):
    """A compiled loss whose value is ``(value, parts)``, the parts by name."""

    def _remember(self, arrays: Mapping[str, Any]) -> None:
        """There is no quick way: outputs stand here in another order than without parts."""

    def _answer(self, answers: Mapping[str, Any]) -> Any:
        answer = super()._answer(answers)
        parts = {name: answers[f"loss_{name}"] for name in self.program.parts}
        if not self.program.wrt:
            return answer, parts
        value, grads = answer
        return (value, parts), grads


def compile_program(program: Program, *args: Any, **kwargs: Any) -> Compiled:
    """A program, ready to be called; the other arguments are those of ``Compiled``."""
    kind = CompiledNamedOutputs if program.parts else Compiled
    return kind(program, *args, **kwargs)
