"""Compiled variants of a loss: by its state, by the call, and by the value of specialized dims."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping

from ..compiler.program import Program
from ..errors import InputError, SpecializationError
from ..ir.dims import evaluate
from ..ir.dims import names as dim_names
from ..ir.types import TensorType
from ..runtime.compiled import Compiled
from .cautions import call_of
from .input_types import Arrays, symbolic_shapes, type_of_array

Build = Callable[[Mapping[str, TensorType]], Program]
Variants = dict[Hashable, "SpecializationCache"]

# A loss whose options change all the time, as an annealed weight does, keeps the last few only.
_STATES = 4


class CompiledVariants:
    """What a loss has compiled, by its state and what tells one call from another."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._by_state: OrderedDict[Hashable, Variants] = OrderedDict()

    def __len__(self) -> int:
        return len(self._by_state)

    def get(
        self,
        state: Callable[[], Hashable],
        call: Hashable,
        arrays: Arrays,
        make: Callable[[], SpecializationCache],
    ) -> Compiled:
        """The compiled loss for the arrays of a call.

        Args:
            state: gives the loss's attributes as a value.
            call: what tells the call from others: dtypes, which lengths are equal, and so on.
            arrays: of numpy, or of their dtypes and shapes.
            make: makes the variants of such a call if there are none.
        """
        with self._lock:
            variants = self._of(state())
            found = variants.get(call)
            if found is None:
                found = variants[call] = make()
            compiled, is_new = found.get(arrays)
            if is_new:  # a body may set attributes while it is traced: find it with these too
                self._keep(state(), variants)
        return compiled

    def _of(self, state: Hashable) -> Variants:
        variants = self._by_state.get(state)
        if variants is None:
            variants = {}
            self._keep(state, variants)
        self._by_state.move_to_end(state)
        return variants

    def _keep(self, state: Hashable, variants: Variants) -> None:
        self._by_state[state] = variants
        if len(self._by_state) > _STATES:
            self._by_state.popitem(last=False)


class SpecializationCache:
    """The compiled forms of one signature: one, or one for each value of specialized dims."""

    def __init__(self, build: Build, arrays: Arrays, provider: str | None) -> None:
        self._build, self._provider = build, provider
        self._shapes = symbolic_shapes(arrays)
        self._special: tuple[str, ...] = ()
        self._made: dict[tuple[int, ...], Compiled] = {}

    def get(self, arrays: Arrays) -> tuple[Compiled, bool]:
        """The compiled loss for the lengths of some arrays, and whether it was compiled now."""
        lengths = {
            dim.name or "": length
            for name, array in arrays.items()
            for dim, length in zip(self._shapes[name], array.shape, strict=True)
            if not isinstance(dim, int)
        }
        is_new, said = False, set[str]()
        while True:
            values = tuple(lengths[name] for name in self._special)
            try:
                compiled = self._made.get(values)
                if compiled is None:
                    with call_of(lengths, said):
                        compiled, is_new = self._make(arrays, values), True
                _check_constraints(compiled.program, lengths)
            except SpecializationError as needed:
                fresh = [name for name in needed.names if name in set(lengths) - set(self._special)]
                if not fresh:
                    raise
                self._special += tuple(fresh)
                self._made.clear()
            else:
                return compiled, is_new

    def _make(self, arrays: Arrays, values: tuple[int, ...]) -> Compiled:
        static = dict(zip(self._special, values, strict=True))
        types = {
            name: type_of_array(name, array, self._shapes[name], static)
            for name, array in arrays.items()
        }
        try:
            program = self._build(types)
        except SpecializationError:
            raise
        except InputError:
            self._explain(arrays)
            raise
        self._made[values] = Compiled(program, self._provider)
        return self._made[values]

    def _explain(self, arrays: Arrays) -> None:
        """Raise what is wrong with arrays in their own lengths: users know no names of dims."""
        self._build(
            {name: type_of_array(name, array, array.shape, {}) for name, array in arrays.items()}
        )


def _check_constraints(program: Program, lengths: Mapping[str, int]) -> None:
    """Ask to specialize sizes that were taken to be equal and are not: one may broadcast as a 1."""
    for left, right in program.constraints:
        if evaluate(left, lengths) != evaluate(right, lengths):
            names = tuple(sorted(dim_names(left) | dim_names(right)))
            raise SpecializationError(names, f"sizes {left} and {right} differ")
