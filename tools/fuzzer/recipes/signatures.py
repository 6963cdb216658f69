"""Functions whose calls follow from their signatures, and those that are left out."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from lossgraph import reference, symbolic

from .chooser import Chooser

# Functions of F that no recipe has, and why.
LEFT_OUT = {
    "_copy": "MXNet's inner name of copy",
    **dict.fromkeys(
        ("with_gradient", "SoftmaxOutput", "Softmax", "LinearRegressionOutput",
         "LogisticRegressionOutput", "MAERegressionOutput"),
        "its gradient is what it is told, not that of its value",
    ),
    **dict.fromkeys(
        ("Convolution", "Deconvolution", "Pooling", "FullyConnected", "frame", "stft", "fft",
         "ifft", "CTCLoss", "ctc_loss"),
        "sizes that fit each other are rare at random: other frameworks judge them, in tests",
    ),
    **dict.fromkeys(
        ("cond", "while_loop", "boolean_mask"),
        "its shape depends on values, or it takes functions: foreach stands for them",
    ),
    **dict.fromkeys(
        (name for name in symbolic.functions() if "linalg" in name and "gemm" not in name),
        "matrices that have a factor or an inverse are rare at random: tests make them",
    ),
}  # fmt: skip


def by_signature() -> dict[str, list[str]]:
    """The functions of F that arrays alone call, or arrays and an axis: the names of these."""
    found = {}
    for name, function in symbolic.functions().items():
        if name not in reference.__all__:
            continue  # a method of arrays alone
        parameters = inspect.signature(function).parameters.values()
        needed = [p for p in parameters if p.default is p.empty and p.kind is not p.VAR_POSITIONAL]
        takes = [p.name for p in needed]
        if needed and all(p.annotation == "Operand" or p.name == "axis" for p in needed):
            options = [p.name for p in parameters if p.name in ("axis", "keepdims", "beta", "k")]
            found[name] = [*takes, *(each for each in options if each not in takes)]
    return found


_BY_SIGNATURE = by_signature()


_OPTION: dict[str, Callable[[Chooser, str], str]] = {
    "axis": lambda c, x: str(c.axis(x)),
    "keepdims": lambda c, x: str(c.one_of(False, True)),
    "beta": lambda c, x: str(c.one_of(1.0, 0.5, 2.0)),
    "k": lambda c, x: str(c.integer(-1, 1)),
}


def any_function(c: Chooser) -> str:
    """Any function whose call follows from its signature: new ones are called at once."""
    name = c.one_of(*sorted(_BY_SIGNATURE.keys() - LEFT_OUT.keys()))
    x = c.array(least=1)
    arrays, options = [x], []
    for parameter in _BY_SIGNATURE[name][1:]:
        if parameter in _OPTION:
            options.append(f"{parameter}={_OPTION[parameter](c, x)}")
        else:
            arrays.append(c.like(x))
    if name.startswith("arg") or name == "batch_take":  # of its own recipe: indices
        return f"F.sigmoid({x})"
    return f"F.{name}({', '.join([*arrays, *options])})"
