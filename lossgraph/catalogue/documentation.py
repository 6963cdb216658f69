"""What the documentation of a loss says: its summary, its formula, its source."""

from __future__ import annotations

import inspect
import re

from ..authoring import description
from ..authoring.functions import FunctionLoss


def summary_of(loss: object) -> str:
    """The first line."""
    return description.summary_of(_documentation(loss))


def formula_of(loss: object) -> str:
    """The formula in TeX, what stands under ``.. math::``, on one line."""
    return description.formula_of(_documentation(loss))


def paper_of(loss: object) -> str:
    """Where the loss comes from, the paragraph that begins with ``Source:``, on one line."""
    match = re.search(
        r"^Source: (.*?)(?:\n\s*\n|\Z)", _documentation(loss), re.DOTALL | re.MULTILINE
    )
    return " ".join(match.group(1).split()) if match else ""


def _documentation(loss: object) -> str:
    """Of a loss made of a function, the function's."""
    return inspect.getdoc(loss.body if isinstance(loss, FunctionLoss) else loss) or ""
