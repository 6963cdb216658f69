"""Which rows of a table count: an expression of pyarrow, or text that is made one.

Text has names of columns, numbers, strings, ``None``, ``True`` and ``False``, comparisons, ``in``,
``and``, ``or``, ``not`` and parentheses: ``country == 'de' and year >= 2020 and not ok``. Null is
unknown as in SQL: a comparison with it is null, and rows for which the condition is null are out.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import reduce
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from pyarrow import acero

from ..catalogue import hint
from ..errors import InputError

Mask = np.ndarray[Any, np.dtype[np.bool_]]

Where: TypeAlias = str | ds.Expression | None

_COMPARED: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_FEW = 8  # values of ``in`` that are compared one by one, which statistics of files decide too
_LISTED = 12  # names in a message
_GRAMMAR = (
    "expected comparisons of columns with numbers, strings or None, joined by and, or, not, as in "
    "\"country == 'de' and year >= 2020\""
)


@dataclass(frozen=True)
class Condition:
    """An expression, and the columns that it reads."""

    expression: ds.Expression
    columns: tuple[str, ...]

    def mask(self, batch: pa.RecordBatch) -> pa.BooleanArray:
        """For each row whether the expression is true, or null."""
        table = pa.Table.from_batches([batch.select(self.columns)])
        source = acero.Declaration("table_source", acero.TableSourceNodeOptions(table))
        project = acero.Declaration(
            "project", acero.ProjectNodeOptions([self.expression], ["mask"]), [source]
        )
        return project.to_table(use_threads=False).column(0).combine_chunks()

    def filtered(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows for which the expression is true; null is not."""
        mask = self.mask(batch)
        return batch if mask.true_count == len(mask) else batch.filter(mask)

    def positions(self, batch: pa.RecordBatch) -> list[int]:
        """The numbers of the rows for which it is true."""
        return np.flatnonzero(pc.fill_null(self.mask(batch), False).to_numpy(False)).tolist()


def condition(where: str | ds.Expression, schema: pa.Schema) -> Condition:
    """The condition that is meant in a table of these columns.

    Raises:
        InputError: for text that is none, columns that are not there, and what cannot be compared.
    """
    if isinstance(where, str):
        return _Parser(where, schema).condition()
    if not isinstance(where, ds.Expression):
        raise InputError(f"where is an expression of pyarrow or text, got {type(where).__name__}")
    _check(where, schema)
    return Condition(where, _read_by(where, schema))


def where_in(schema: pa.Schema, where: Where) -> Condition | None:
    """The condition, if there is one."""
    return None if where is None else condition(where, schema)


def _check(expression: ds.Expression, schema: pa.Schema) -> None:
    """Refuse what this table cannot be asked."""
    try:
        kind = _evaluated(expression, schema)
    except (pa.ArrowException, TypeError) as error:
        reason = str(error).splitlines()[0]
        missing = re.search(r"No match for FieldRef\.Name\((.*?)\) in", reason)
        if missing:
            raise InputError(_absent(missing[1], schema)) from None
        raise InputError(f"where: {reason}") from None
    if not pa.types.is_boolean(kind) and not pa.types.is_null(kind):
        raise InputError(f"where: {expression} is {kind}, and no condition")


def _absent(name: str, schema: pa.Schema) -> str:
    listed = ", ".join(schema.names[:_LISTED]) + (", .." if len(schema.names) > _LISTED else "")
    return f"where: there is no column {name!r}{hint(name, schema.names)}: there are {listed}"


def _evaluated(expression: ds.Expression, schema: pa.Schema) -> pa.DataType:
    """The type of an expression, from a table without rows."""
    source = acero.TableSourceNodeOptions(schema.empty_table())
    project = acero.ProjectNodeOptions([expression], ["mask"])
    plan = acero.Declaration("project", project, [acero.Declaration("table_source", source)])
    return plan.to_table(use_threads=False).schema.field(0).type


def _read_by(expression: ds.Expression, schema: pa.Schema) -> tuple[str, ...]:
    """The columns of an expression: those without which it means nothing."""

    def needs(names: list[str]) -> bool:
        rest = pa.schema([field for field in schema if field.name not in names])
        try:
            _evaluated(expression, rest)
        except pa.ArrowException:
            return True
        return False

    def among(names: list[str]) -> list[str]:
        if not names or not needs(names):
            return []
        if len(names) == 1:
            return names
        half = len(names) // 2
        return among(names[:half]) + among(names[half:])

    return tuple(among(schema.names))


class _Parser:
    """Text as an expression over the columns of a schema."""

    def __init__(self, text: str, schema: pa.Schema) -> None:
        self.text = text
        self.schema = schema
        self.columns: dict[str, None] = {}
        self.quoted: dict[str, str] = {}

    def condition(self) -> Condition:
        try:
            tree = ast.parse(re.sub("`([^`]+)`", self._placeholder, self.text.strip()), mode="eval")
            expression = self.truth(tree.body)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"where: {self.text!r} is no condition: {_GRAMMAR}") from None
        _check(expression, self.schema)
        return Condition(expression, tuple(self.columns))

    def _placeholder(self, found: re.Match[str]) -> str:
        """A name for one between backquotes, which need not be Python's."""
        name = f"_quoted_{len(self.quoted)}_"
        self.quoted[name] = found[1]
        return name

    def truth(self, node: ast.expr) -> ds.Expression:
        """What is true or false."""
        match node:
            case ast.BoolOp(ast.And(), values):
                return reduce(operator.and_, map(self.truth, values))
            case ast.BoolOp(_, values):
                return reduce(operator.or_, map(self.truth, values))
            case ast.UnaryOp(ast.Not(), operand):
                return ~self.truth(operand)
            case ast.Compare(left, ops, others):
                sides = [left, *others]
                pairs = zip(sides, ops, others, strict=False)
                return reduce(operator.and_, [self.comparison(*pair) for pair in pairs])
            case ast.Name() | ast.Attribute():
                return self.flag(node)
            case ast.Constant(bool(value)):
                return pc.scalar(value)
        raise self.refusal(node)

    def flag(self, node: ast.expr) -> ds.Expression:
        """A column of booleans, as a condition."""
        name = self.name(node)
        kind = _plain(self.schema.field(name).type)
        if not pa.types.is_boolean(kind):
            raise InputError(f"where: {name!r} is {kind}, and no condition: compare it")
        return pc.field(name)

    def comparison(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> ds.Expression:
        if isinstance(op, ast.In | ast.NotIn):
            found = self.member(left, right)
            return ~found if isinstance(op, ast.NotIn) else found
        if isinstance(left, ast.Constant) and left.value is None:
            left, right = right, left
        if isinstance(right, ast.Constant) and right.value is None:
            if not isinstance(op, ast.Is | ast.IsNot | ast.Eq | ast.NotEq):
                raise InputError(f"where: None is no size: write {ast.unparse(left)} is None")
            column = pc.field(self.name(left))
            return column.is_valid() if isinstance(op, ast.IsNot | ast.NotEq) else column.is_null()
        if type(op) not in _COMPARED:
            raise self.refusal(ast.Compare(left, [op], [right]))
        return _COMPARED[type(op)](self.side(left, right), self.side(right, left))

    def side(self, node: ast.expr, other: ast.expr) -> ds.Expression:
        """One side of a comparison; a constant in the type of the column that it is beside."""
        if isinstance(node, ast.Name | ast.Attribute):
            return pc.field(self.name(node))
        value = self.constant(node)
        if not isinstance(other, ast.Name | ast.Attribute):
            raise InputError(f"where: {ast.unparse(node)} is compared with no column")
        return pc.scalar(self.fitting(value, self.name(other)))

    def member(self, left: ast.expr, right: ast.expr) -> ds.Expression:
        """``column in (values)``, unknown for null unless None is among them."""
        if not isinstance(right, ast.Tuple | ast.List | ast.Set):
            raise InputError(f"where: in needs a list: {ast.unparse(left)} in (1, 2)")
        name = self.name(left)
        column = pc.field(name)
        values = [self.constant(node) for node in right.elts]
        known = [self.fitting(value, name) for value in values if value is not None]
        terms = [column == pc.scalar(value) for value in known[:_FEW]]
        if len(known) > _FEW:
            kind = _plain(self.schema.field(name).type)
            try:
                terms.append(column.isin(pa.array([v.as_py() for v in known], kind)))
            except (pa.ArrowException, TypeError):
                terms += [column == pc.scalar(value) for value in known[_FEW:]]
        if None in values:
            terms.append(column.is_null())
        return reduce(operator.or_, terms) if terms else pc.scalar(False)

    def name(self, node: ast.expr) -> str:
        """The column that is named."""
        if not isinstance(node, ast.Name | ast.Attribute):
            raise self.refusal(node)
        text = ast.unparse(node)
        name = self.quoted.get(text, text)
        if name not in self.schema.names:
            raise InputError(_absent(name, self.schema))
        self.columns[name] = None
        return name

    def constant(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(bool() | int() | float() | str() | None as value):
                return value
            case ast.UnaryOp(ast.USub(), ast.Constant(int() | float() as value)):
                return -value
            case ast.UnaryOp(ast.UAdd(), ast.Constant(int() | float() as value)):
                return value
        raise self.refusal(node)

    def fitting(self, value: Any, column: str) -> pa.Scalar:
        """A constant in a type that a column can be compared with."""
        kind = _plain(self.schema.field(column).type)
        try:
            if pa.types.is_temporal(kind) and isinstance(value, str):
                return pa.scalar(value).cast(kind)
            if _family(kind) == _family(pa.scalar(value).type):
                return _scalar(value, kind)
        except (pa.ArrowException, OverflowError):
            pass
        raise InputError(f"where: column {column!r} is {kind}, and {value!r} is not")

    def refusal(self, node: ast.AST) -> InputError:
        return InputError(f"where: {ast.unparse(node)!r} cannot be said: {_GRAMMAR}")


def _plain(kind: pa.DataType) -> pa.DataType:
    """The type of the values of a dictionary."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _family(kind: pa.DataType) -> str:
    """What can be compared with each other."""
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "number"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or "string_view" in str(kind):
        return "string"
    return str(kind)


def _scalar(value: Any, kind: pa.DataType) -> pa.Scalar:
    """A constant beside values of a type: 0.1 is what it is in theirs, as in NumPy and Polars."""
    if pa.types.is_decimal(kind):
        try:
            return pa.scalar(Decimal(str(value)), kind)
        except pa.ArrowException:  # more digits than the column has
            return pa.scalar(float(value))
    if pa.types.is_floating(kind):
        return pa.scalar(float(value), pa.float64()).cast(kind)
    return pa.scalar(value)
