"""Formulas in TeX as MathML, which browsers set without help.

latex2mathml translates commands; what TeX does besides is done here: thin spaces around names of
functions, none at bars, slashes and signs, upright capital Greek.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from ..errors import InputError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_THIN = "0.167em"
_BARS = ("|", "‖")
_CLOSING = (")", "]", "}", "⟩", "!")  # a minus after these is no sign
_SCRIPTS = ("msub", "msup", "msubsup", "munder", "mover", "munderover")
_OPERANDS = ("mi", "mn", "mfrac", "msqrt", "mrow", "mstyle", *_SCRIPTS)


def mathml(tex: str) -> str:
    """A formula as a ``math`` element, with its TeX beside for those who cannot see it.

    Raises:
        InputError: for a command that is not known, and if latex2mathml is not installed.
    """
    try:
        from latex2mathml.converter import convert
    except ImportError:
        raise InputError(
            "setting formulas needs latex2mathml: pip install 'lossgraph[html]'"
        ) from None
    root = ElementTree.fromstring(convert(tex, display="block"))
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        _mend(element)
    for row in list(root.iter()):
        if row.tag in ("mrow", "mtd", "msqrt"):
            _sign(row)
            _space(row)
    root.attrib = {
        "xmlns": "http://www.w3.org/1998/Math/MathML", "display": "block", "alttext": tex
    }  # fmt: skip
    left = re.search(r"\\\w+", "".join(root.itertext()))
    if left:
        raise InputError(f"the formula {tex!r} has a command that is not known: {left.group()}")
    return ElementTree.tostring(root, encoding="unicode")


def _mend(element: Element) -> None:
    """One element: names are identifiers, bars have no space, columns stand to the left."""
    text = element.text or ""
    if element.tag == "mo" and text.isalpha() and len(text) > 1:
        element.tag = "mi"
    elif element.tag == "mo" and text in (*_BARS, "/") and element.get("stretchy") != "true":
        element.attrib = {"stretchy": "false", "lspace": "0", "rspace": "0"}
    elif element.tag == "mi" and "Α" <= text <= "Ω":
        element.set("mathvariant", "normal")
    elif element.tag == "mtd":
        side = element.attrib.pop("columnalign", "center")
        element.set("style", f"text-align: {side}")


def _sign(row: Element) -> None:
    """A minus after no operand is a sign, which stands close to what follows."""
    bars, ended = 0, False
    for element in row:
        text = element.text or ""
        if text == "−" and not ended:
            element.set("form", "prefix")
        bars += text in _BARS
        closed = text in _CLOSING or (text in _BARS and bars % 2 == 0)
        ended = closed or (element.tag in _OPERANDS and not _is_function(element))


def _space(row: Element) -> None:
    """Thin spaces around names, where what is beside is no operator or bracket."""
    children = list(row)
    for before, after in zip(reversed(children[:-1]), reversed(children[1:]), strict=True):
        beside = _is_operand(before) if _is_function(after) else _is_operand(after)
        if (_is_function(before) or _is_function(after)) and beside:
            row.insert(list(row).index(after), ElementTree.Element("mspace", {"width": _THIN}))


def _is_function(element: Element) -> bool:
    """A name like log, with indices or without."""
    base = element[0] if element.tag in _SCRIPTS else element
    return base.tag == "mi" and len(base.text or "") > 1


def _is_operand(element: Element) -> bool:
    fenced = element.tag == "mrow" and len(element) > 0 and element[0].get("fence") == "true"
    return (element.tag in _OPERANDS and not fenced) or (element.tag, element.text) == ("mo", ")")
