"""Gradients by JAX: the reference itself, which is written in NumPy, on ``jax.numpy`` instead.

It shares no derivative with lossgraph. What JAX cannot trace (writing into arrays, shapes made of
values) it has no opinion on.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.machinery
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from lossgraph import reference

from .programs import Program

Array = np.ndarray[Any, Any]
_NAME = "lossgraph.reference_by_jax"


def available() -> bool:
    """Whether JAX is installed."""
    return importlib.util.find_spec("jax") is not None


def gradients(
    program: Program, arrays: Mapping[str, Array], wrt: Sequence[str]
) -> list[Array] | None:
    """The gradients of the sum of the value, or None where JAX cannot say."""
    import jax

    F = _reference()
    fixed = {n: F.Array(a) for n, a in arrays.items() if n not in wrt}

    def total(*floats: Any) -> Any:
        given = {n: F.Array(x) for n, x in zip(wrt, floats, strict=True)}
        return program.body(F, **fixed, **given).value.sum()

    try:
        found = jax.grad(total, argnums=tuple(range(len(wrt))))(*(arrays[n] for n in wrt))
    except Exception:
        return None
    return [np.asarray(g) for g in found]


def forget() -> None:
    """Drop what JAX keeps of every program for ever, which is gigabytes in minutes."""
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()


class _Numpy(ModuleType):
    """``numpy`` where arrays are traced: JAX's functions where it has them."""

    def __getattr__(self, name: str) -> Any:
        import jax.numpy as jnp

        if name in ("dtype", "generic", "errstate", "promote_types", "result_type", "finfo",
                    "iinfo", "integer", "floating", "broadcast_shapes", "prod",
                    "ndarray"):  # fmt: skip
            return getattr(np, name)
        return getattr(jnp, name) if hasattr(jnp, name) else getattr(np, name)

    @staticmethod
    def vectorize(function: Any, **_: Any) -> Any:
        """The functions of ``math`` that the reference maps over elements."""
        from jax.scipy import special

        return {"erf": special.erf, "_log_gamma": special.gammaln}[function.__name__]


class _Loader(importlib.machinery.SourceFileLoader):
    """A module of the reference with another ``np``."""

    def get_code(self, fullname: str) -> Any:
        source = Path(self.path).read_text(encoding="utf-8")
        swapped = source.replace("import numpy as np", f"from {_NAME}_numpy import numpy as np")
        return compile(swapped, self.path, "exec")


class _Finder:
    """Finds the modules of the second reference in the folder of the first."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
        if name != _NAME and not name.startswith(_NAME + "."):
            return None
        folder = Path(str(reference.__file__)).parent
        if name == _NAME:
            file = folder / "__init__.py"
        else:
            file = folder / (name.rpartition(".")[2] + ".py")
        package = [str(folder)] if name == _NAME else None
        return importlib.util.spec_from_file_location(
            name, file, loader=_Loader(name, str(file)), submodule_search_locations=package
        )


@cache
def _reference() -> Any:
    import jax

    jax.config.update("jax_enable_x64", True)
    holder = ModuleType(f"{_NAME}_numpy")
    holder.numpy = _Numpy("numpy")  # type: ignore[attr-defined]
    sys.modules[f"{_NAME}_numpy"] = holder
    sys.meta_path.insert(0, _Finder)  # type: ignore[arg-type]
    try:
        made = importlib.import_module(_NAME)
    finally:
        with contextlib.suppress(ValueError):
            sys.meta_path.remove(_Finder)  # type: ignore[arg-type]
    return made
