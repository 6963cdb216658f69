"""Formulas in TeX as MathML, which browsers set without help.

latex2mathml translates commands; what TeX does besides is done here: thin spaces around names of
functions, none at bars, slashes and signs, upright capital Greek.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote
from xml.etree import ElementTree

from ..errors import InputError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_THIN = "0.167em"
_BARS = ("|", "‖")
_TALL = ("mtable", "mfrac", "munderover", "munder")
_FENCES = {  # as paths in a box of 10 by 100
    "{": "M9 1C3 1 6 48 1 50C6 52 3 99 9 99",
    "}": "M1 1C7 1 4 48 9 50C4 52 7 99 1 99",
    "(": "M8 1C1 25 1 75 8 99",
    ")": "M2 1C9 25 9 75 2 99",
    "[": "M8 1H3V99H8",
    "]": "M2 1H7V99H2",
    "|": "M5 1V99",
    "‖": "M3 1V99M7 1V99",
}
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
    for row in list(root.iter("mrow")):
        _draw_fences(row)
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


def _draw_fences(row: Element) -> None:
    """Draw the fences around what is tall, as high as that is.

    Browsers stretch them only by a font with a table of mathematics, which few machines have.
    """
    if len(row) < 2 or not any(element.tag in _TALL for element in row.iter()):
        return
    sides = [("left", row[0]), ("right", row[-1])]
    drawn = [(side, e) for side, e in sides if e.get("fence") == "true" and e.text in _FENCES]
    for _, element in drawn:
        row.remove(element)
    if drawn:
        padding = "; ".join(f"padding-{side}: 0.6em" for side, _ in drawn)
        images = ", ".join(
            f"{_image(e.text or '')} {side} / 0.5em 100% no-repeat" for side, e in drawn
        )
        row.set("style", f"{padding}; background: {images}")


def _image(fence: str) -> str:
    """A picture of a fence that stretches to any height, for a style."""
    svg = (
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 10 100' preserveAspectRatio='none'>"
        f"<path d='{_FENCES[fence]}' fill='none' stroke='#777' stroke-width='1.3' "
        "vector-effect='non-scaling-stroke'/></svg>"
    )
    return f'image-set("data:image/svg+xml,{quote(svg)}" 1x)'


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
