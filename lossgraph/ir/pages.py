"""Pages in one file: the frame and style that they share, by Jinja2.

A template extends ``page.html``. What it fills in is escaped, but for ``Markup``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError

if TYPE_CHECKING:
    from jinja2 import Environment

_SHARED = Path(__file__).parent / "templates"


def environment(templates: Path) -> Environment:
    """Templates of a folder, which extend those that pages share.

    Raises:
        InputError: if Jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError:
        raise InputError("pages need jinja2: pip install 'lossgraph[html]'") from None
    made = Environment(
        loader=FileSystemLoader([templates, _SHARED]), autoescape=True, undefined=StrictUndefined
    )
    made.filters["code"] = code
    return made


def code(value: object) -> Any:
    """Text in which what stands between double backquotes is code."""
    parts = re.split(r"``(.+?)``", str(value))
    return markup("").join(
        markup("<code>{}</code>").format(part) if i % 2 else part for i, part in enumerate(parts)
    )


def markup(content: str) -> Any:
    """What is not escaped again."""
    from markupsafe import Markup

    return Markup(content)
