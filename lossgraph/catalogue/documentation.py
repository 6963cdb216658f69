"""What the documentation of a loss says: its summary, its formula, its source."""

from __future__ import annotations

import inspect
import re

from ..authoring.functions import FunctionLoss

_PARAGRAPH_END = r"(?:\n\s*\n|\Z)"


def summary_of(loss: object) -> str:
    """The first line."""
    return _documentation(loss).partition("\n")[0]


def formula_of(loss: object) -> str:
    """The formula in TeX, what stands under ``.. math::``, on one line."""
    return _paragraph(r"\.\. math::", loss)


def paper_of(loss: object) -> str:
    """Where the loss comes from, the paragraph that begins with ``Source:``, on one line."""
    return _paragraph("^Source: ", loss)


def _paragraph(beginning: str, loss: object) -> str:
    """The rest of the paragraph with this beginning; empty if there is none."""
    pattern = f"{beginning}(.*?){_PARAGRAPH_END}"
    match = re.search(pattern, _documentation(loss), re.DOTALL | re.MULTILINE)
    return " ".join(match.group(1).split()) if match else ""


def _documentation(loss: object) -> str:
    """Of a loss made of a function, the function's."""
    return inspect.getdoc(loss.body if isinstance(loss, FunctionLoss) else loss) or ""
