"""Write the page of the operators of F, docs/operators.md, from their register.

Names, arguments and summaries come from the functions, MXNet's arguments from what was recorded
of its documentation (``tools/record_mxnet_arguments``). Only remarks are written here: where a
result, a gradient or a refusal is not MXNet's. The page is the same bytes in every run.
"""

from __future__ import annotations

import argparse
import inspect
import json
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from lossgraph.symbolic.listing import Function, listing

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "operators.md"
RECORDED = ROOT / "tests" / "golden" / "mxnet_ops" / "arguments.json"

HEAD = """\
# All operators of F

<!-- Written by tools/operators: change the docstrings or the remarks there, then run it. -->

{count} functions, with MXNet's names and arguments where MXNet 1.9.1 has them; the columns say
where it has not, and where results, gradients or refusals are others. The last column has the
opsets of standard operators that it is written in; arrays with an axis of length 0 that is not
the batch need 14. What each does in full is in [Operators F](reference/symbolic.md).

What holds everywhere: comparisons give 1 and 0 in the dtype of what they compare, float32 for
integers. A full reduction has the shape (1,). Integers become float32 where a result is not
whole. At a kink the derivative is 0 (`abs`, `relu`), shared (`maximum` of two arrays, `max` over
an axis), or that of the inside (`clip`).
"""

_SHARED = "elements that attain the maximum share its gradient; MXNet gives it to the first one"
_MEETS = "without a dtype it has that of what it meets; MXNet: float32"
_OUTSIDE = "an index outside is refused, NaN in an exported graph"
_SECOND = "layouts with the channels second"
_SIZES = "sizes may be names; one scan over columns"
_ALL = "13 to 26"
# What adds up elements that meet, in value or gradient.
_SUMMING = ("Embedding", "index_add", "scatter_add", "scatter_nd", "take", "take_along_axis")
OPSETS = dict.fromkeys(_SUMMING, f"{_ALL}, before 16 by products with one-hot matrices")
# Families that MXNet has not, or not under these names.
_OF_OTHERS = {"activations": "PyTorch"}
REMARKS = {
    "Activation": "of MXNet's five",
    "CTCLoss": "0 for a label without an alignment, also one that is longer than the input; the "
    "blank among the labels is refused",
    "Convolution": f"{_SECOND}; the lengths of the kernel are known; float64 by products of "
    "matrices",
    "Deconvolution": f"{_SECOND}; no `target_shape`",
    "LeakyReLU": "no `rrelu`, which is random; at 0 the derivative is that from below",
    "Pooling": f"{_SECOND}; `valid` and `full`; {_SHARED}; NaN is kept",
    "SoftmaxOutput": "`out_grad` multiplies by what flows back, MXNet's by the output; "
    "`smooth_alpha` holds with `multi_output` too; other axes are joined as documented",
    "arange": _MEETS,
    "array": _MEETS,
    "boolean_mask": "the mask is a constant",
    "clip": "a bound has the gradient of the inside",
    "contrib.cond": "both branches are computed; the one that is not chosen has no gradient",
    "contrib.fft": "on every engine; the length is known; a product with a constant matrix",
    "contrib.foreach": "`data` may be a number of steps",
    "contrib.ifft": "on every engine; the length is known; a product with a constant matrix",
    "contrib.while_loop": "outputs after the last step are 0, MXNet's are undefined; all "
    "`max_iterations` steps are computed, and those after the last have no gradient",
    "eye": _MEETS,
    "full": _MEETS,
    "gammaln": "NaN below 0",
    "gather_nd": "an index outside takes the nearest element",
    "identity": "`make_loss` too has the gradient of what flows back, MXNet's is 1",
    "index_add": _OUTSIDE,
    "linalg_det": f"the gradient is right where the determinant is 0 too (once); {_SIZES}",
    "linalg_inverse": f"NaN where there is no inverse, MXNet refuses; {_SIZES}",
    "linalg_maketrian": "the size is known",
    "linalg_extracttrian": "the size is known",
    "linalg_potrf": f"NaN where a matrix is not positive definite, MXNet refuses; of (A+A^T)/2, "
    f"MXNet reads one triangle; {_SIZES}",
    "linalg_slogdet": f"the logarithm of 0 is -inf, with NaN for a gradient; {_SIZES}",
    "linalg_solve": _SIZES,
    "linalg_trsm": f"stacks broadcast; {_SIZES}",
    "linalg_trmm": "stacks broadcast",
    "linspace": _MEETS,
    "max": _SHARED,
    "min": _SHARED.replace("maximum", "minimum"),
    "norm": "of order 1 or 2; at 0 the derivative is 0",
    "one_hot": _MEETS,
    "ones": _MEETS,
    "pick": "`mode='raise'` too, as of class labels",
    "scatter_add": _OUTSIDE,
    "scatter_nd": "elements of one place are summed, MXNet leaves it open",
    "std": "where all elements are equal the derivative is 0",
    "zeros": _MEETS,
}


def page() -> str:
    """The whole page."""
    functions = listing()
    recorded: dict[str, list[str]] = json.loads(RECORDED.read_text())
    parts = [HEAD.format(count=len(functions))]
    for family, members in groupby(functions, lambda function: function.family):
        parts += section(family, list(members), recorded)
    return "\n".join(parts)


def section(family: str, members: list[Function], recorded: dict[str, list[str]]) -> Iterator[str]:
    """A table of the functions that are written in one module."""
    yield f"## {family.replace('_', ' ').capitalize()}\n"
    yield "| Function | Arguments | In MXNet | What differs | Opsets |"
    yield "| --- | --- | --- | --- | --- |"
    for function in members:
        cells = (
            named(function),
            arguments(function),
            origin(function, recorded),
            differences(function, recorded),
            OPSETS.get(function.name, _ALL),
        )
        yield f"| {' | '.join(cells)} |"
    yield ""


def named(function: Function) -> str:
    """Its name and the others, with what it does."""
    others = ", ".join(f"`{name}`" for name in function.names[1:])
    return f"**`{function.name}`**{f', {others}' if others else ''}: {cell(function.summary)}"


def cell(text: str) -> str:
    """Text that may stand in a table."""
    return text.replace("``", "`").replace("|", "\\|")


def arguments(function: Function) -> str:
    """Its arguments, those with defaults as calls give them."""
    shown = [shown_argument(parameter) for parameter in function.arguments]
    return cell(", ".join(f"`{text}`" for text in shown))


def shown_argument(parameter: inspect.Parameter) -> str:
    """One argument."""
    star = "*" * (parameter.kind is parameter.VAR_POSITIONAL)
    given = "" if parameter.default is parameter.empty else f"={parameter.default!r}"
    return f"{star}{parameter.name}{given}"


def origin(function: Function, recorded: dict[str, list[str]]) -> str:
    """The name that MXNet has it under, or whose function it is."""
    known = [name for name in function.names if name in recorded]
    if known:
        return ", ".join(f"`{name}`" for name in known)
    owner = function.source or _OF_OTHERS.get(function.family, "lossgraph")
    return f"no: {owner.replace('Lossgraph', 'lossgraph')}'s"


def differences(function: Function, recorded: dict[str, list[str]]) -> str:
    """Arguments that only one of the two has, and remarks."""
    remarks = [REMARKS.get(function.name, "")]
    known = next((name for name in function.names if name in recorded), None)
    if known is not None and "*data" not in recorded[known]:
        ours = [parameter.name for parameter in function.arguments]
        theirs = [text.partition("=")[0] for text in recorded[known]]
        lacking = [f"`{name}`" for name in theirs if name not in ours]
        more = [f"`{name}`" for name in ours if name not in theirs]
        remarks.append(f"without {', '.join(lacking)}" if lacking else "")
        remarks.append(f"also {', '.join(more)}" if more else "")
    return cell("; ".join(remark for remark in remarks if remark))


def main() -> None:
    """Write the page."""
    argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0]).parse_args()
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
