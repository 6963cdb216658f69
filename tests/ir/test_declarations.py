"""An operation is known by its declaration: no module asks for its name."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import lossgraph

PACKAGE = Path(lossgraph.__file__).parent


def compared_names(source):
    """The lines that compare ``<something>.op.name``, but with another ``op.name``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare):
            sides = [ast.unparse(side) for side in (node.left, *node.comparators)]
            named = [side.endswith("op.name") for side in sides]
            if any(named) and not (named[0] and sides[1] == "_REGISTRY"):
                yield node.lineno


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_no_module_compares_the_name_of_an_operation(path):
    assert not list(compared_names(path.read_text()))


def test_a_comparison_is_found():
    assert list(compared_names("x = 1\nif node.op.name in ('Add', 'Sub'):\n    pass")) == [2]
    assert list(compared_names("same = node.op.name == 'Add'")) == [1]
    assert not list(compared_names("known = op.name in _REGISTRY"))
