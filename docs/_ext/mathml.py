"""Formulas as MathML, which browsers set without a script: a math renderer for Sphinx."""

from __future__ import annotations

from html import escape
from xml.etree import ElementTree

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number
from sphinx.writers.html5 import HTML5Translator

from lossgraph.errors import InputError
from lossgraph.view.formulas import mathml

LOGGER = logging.getLogger(__name__)
BLOCK = ' display="block"'


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def visit_inline(translator: HTML5Translator, node: nodes.math) -> None:
    """A formula in a line."""
    translator.body.append(_formula(node).replace(BLOCK, "", 1))
    raise nodes.SkipNode


def visit_block(translator: HTML5Translator, node: nodes.math_block) -> None:
    """A displayed formula, with its number if it has one."""
    translator.body.append(translator.starttag(node, "div", CLASS="math notranslate"))
    if node.get("number"):
        number = get_node_equation_number(translator, node)
        translator.body.append(f'<span class="eqno">({number})</span>')
    translator.body.append(f"{_formula(node)}</div>\n")
    raise nodes.SkipNode


def _formula(node: nodes.math | nodes.math_block) -> str:
    """The ``math`` element; of a formula that cannot be translated a warning, and its TeX."""
    tex = node.astext().replace("{aligned}", "{split}")  # the name that latex2mathml knows
    try:
        return mathml(tex)
    except (InputError, ElementTree.ParseError, ValueError, IndexError) as error:
        LOGGER.warning("the formula %r: %s", node.astext(), error, location=node)
        return f"<code>{escape(node.astext())}</code>"
