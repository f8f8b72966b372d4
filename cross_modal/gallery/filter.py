"""Which rows of a gallery: conditions on columns that must all hold, the same in memory, in LanceDB and in Milvus.

    label=greek     label!=greek     label=greek|latin (one of)     label!=greek|latin (none of)
    price<20        price>=5         text~little (contains)         label= (has none)     label!= (has one)

A row that has no value in a column differs from any value: `split!=train` keeps rows without a split.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cross_modal.errors import CrossModalError
from cross_modal.gallery.schema import HEAVY

Operator = Literal["=", "!=", "<", "<=", ">", ">=", "in", "not in", "contains"]
Value = str | int | float | bool | None
OPERATORS = ("=", "!=", "<", "<=", ">", ">=", "in", "not in", "contains")
_WRITTEN = re.compile(r"\s*([^=!<>~]+?)\s*(!=|<=|>=|=|<|>|~)(.*)", re.DOTALL)
_ALTERNATIVES = re.compile(r"(?<!\\)\|")
_EXPECTED = 'COLUMN=VALUE (or !=, <, <=, >, >=, ~ "contains"; VALUE|VALUE for one of several)'
_COMPARISONS = {"<": pc.less, "<=": pc.less_equal, ">": pc.greater, ">=": pc.greater_equal}
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True)
class Condition:
    """One condition.

    Attributes:
        column: The column.
        operator: How it is compared.
        values: With what: one value, or several for "in" and "not in". None stands for "has no value".
    """

    column: str
    operator: Operator
    values: tuple[Value, ...]

    def __post_init__(self) -> None:
        if self.operator not in OPERATORS:
            raise CrossModalError(f"filter: expected one of {', '.join(OPERATORS)}, found {self.operator!r}")
        several = self.operator in ("in", "not in")
        if not several and len(self.values) != 1:
            raise CrossModalError(
                f"filter: expected one value for {self.column} {self.operator}, found {len(self.values)}"
            )
        if None in self.values and self.operator not in ("=", "!="):
            raise CrossModalError(f"filter: expected a value for {self.column} {self.operator}, found none")


@dataclass(frozen=True)
class Filter:
    """Conditions that must all hold.

    Attributes:
        conditions: They; none keeps every row.

    >>> rows = pa.table({"label": ["greek", "latin", None], "price": [10, 20, 30]})
    >>> Filter.parse(["label!=greek", "price<30"]).mask(rows).tolist()
    [False, True, False]
    """

    conditions: tuple[Condition, ...] = ()

    @classmethod
    def parse(cls, written: Iterable[str] | str) -> Filter:
        r"""Reads conditions as people write them; `\|` is a | within a value.

        Raises:
            CrossModalError: Something that is no condition.

        >>> Filter.parse(["label=a|b"]).conditions[0].operator
        'in'
        """
        conditions = []
        for text in [written] if isinstance(written, str) else written:
            match = _WRITTEN.fullmatch(text)
            if match is None:
                raise CrossModalError(f"filter: expected {_EXPECTED}, found {text!r}")
            column, operator, value = match[1], match[2], match[3].strip()
            parts = tuple(part.replace("\\|", "|") for part in _ALTERNATIVES.split(value))
            if operator in ("=", "!="):
                if len(parts) > 1:
                    conditions.append(Condition(column, "in" if operator == "=" else "not in", parts))
                else:
                    conditions.append(Condition(column, "=" if operator == "=" else "!=", (parts[0] or None,)))
            elif len(parts) > 1 or not parts[0]:
                raise CrossModalError(f"filter: expected {_EXPECTED}, found {text!r}")
            else:
                conditions.append(Condition(column, "contains" if operator == "~" else operator, parts))  # type: ignore[arg-type]
        return cls(tuple(conditions))

    @classmethod
    def of_ids(cls, ids: Sequence[str]) -> Filter:
        """The rows of these names."""
        return cls((Condition("id", "in", tuple(ids)),))

    def __and__(self, other: Filter) -> Filter:
        return Filter(self.conditions + other.conditions)

    def __bool__(self) -> bool:
        return bool(self.conditions)

    @property
    def columns(self) -> list[str]:
        """The columns it looks at, each once."""
        return list(dict.fromkeys(condition.column for condition in self.conditions))

    def bound(self, schema: pa.Schema) -> Filter:
        """The same with values of the columns' types.

        Args:
            schema: The columns there are.

        Raises:
            CrossModalError: A column that is not there, or a value that its type does not know.
        """
        return Filter(tuple(_bound(condition, schema) for condition in self.conditions))

    def mask(self, table: pa.Table) -> np.ndarray:
        """Which rows of a table it keeps.

        Args:
            table: N rows with the columns it looks at.

        Returns:
            (N,) bool.

        Raises:
            CrossModalError: As `bound`.
        """
        keep = np.ones(table.num_rows, bool)
        for condition in self.bound(table.schema).conditions:
            held = pc.fill_null(_holds(condition, table[condition.column]), condition.operator in ("!=", "not in"))
            keep &= held.to_numpy(zero_copy_only=False) if isinstance(held, pa.Array) else held.to_numpy()
        return keep

    def to_sql(self, schema: pa.Schema) -> str:
        """As a condition of LanceDB's SQL, safely quoted; "" keeps every row."""
        return " AND ".join(f"({_sql(condition)})" for condition in self.bound(schema).conditions)

    def to_milvus(self, schema: pa.Schema, fixed: Iterable[str] = ("id",)) -> str:
        """As a Milvus expression, safely quoted; "" keeps every row.

        Args:
            schema: The columns there are.
            fixed: Those that are fields of the collection; the others are dynamic.
        """
        known = set(fixed)
        return " and ".join(f"({_milvus(each, each.column in known)})" for each in self.bound(schema).conditions)

    def __str__(self) -> str:
        return " ".join(map(_written, self.conditions))


def _bound(condition: Condition, schema: pa.Schema) -> Condition:
    names = [name for name in schema.names if name not in HEAVY]
    if condition.column not in names:
        raise CrossModalError(f"filter: expected one of the columns {', '.join(names)}, found {condition.column!r}")
    kind = schema.field(condition.column).type
    if condition.operator == "contains" and not pa.types.is_string(kind):
        raise CrossModalError(f"filter: expected a column of strings for {condition.column}~, found {kind}")
    if pa.types.is_boolean(kind) and condition.operator in _COMPARISONS:
        raise CrossModalError(
            f"filter: expected = or != for {condition.column} (true or false), found {condition.operator}"
        )
    values = tuple(None if value is None else _typed(value, kind, condition.column) for value in condition.values)
    bound = Condition(condition.column, condition.operator, values)
    return _whole(bound) if pa.types.is_integer(kind) else bound


def _whole(condition: Condition) -> Condition:
    """The same of whole numbers: fractions equal none of them, and bounds move to the next one.

    >>> _whole(Condition("size", "<", (2.5,)))
    Condition(column='size', operator='<=', values=(2,))
    """
    column, operator, value = condition.column, condition.operator, condition.values[0] if condition.values else None
    if not any(isinstance(each, float) for each in condition.values):
        return condition
    if operator not in _COMPARISONS or value is None:
        whole = tuple(each for each in condition.values if not isinstance(each, float))
        return Condition(column, "in" if operator in ("=", "in") else "not in", whole)
    if abs(float(value)) >= 2**63:
        below = (float(value) > 0) == operator.startswith("<")  # all there are, or none
        return Condition(column, "!=", (None,)) if below else Condition(column, "in", ())
    if operator.startswith("<"):
        return Condition(column, "<=", (math.floor(float(value)),))
    return Condition(column, ">=", (math.ceil(float(value)),))


def _typed(value: Value, kind: pa.DataType, column: str) -> Value:
    """A value as the column has it; what people write is a string."""
    if pa.types.is_string(kind):
        return str(value)
    if pa.types.is_boolean(kind):
        if str(value).lower() in _BOOLEANS:
            return _BOOLEANS[str(value).lower()]
        raise CrossModalError(f"filter: expected true or false for {column}, found {value!r}")
    try:
        number = float(str(value))
    except ValueError:
        number = float("nan")
    if not np.isfinite(number) or isinstance(value, bool):
        raise CrossModalError(f"filter: expected a number for {column}, found {value!r}")
    if not pa.types.is_integer(kind) or not number.is_integer():
        return number
    try:
        whole = int(str(value))  # however large: a float rounds above 2**53
    except ValueError:
        whole = int(number)
    return whole if -(2**63) <= whole < 2**63 else number


def _holds(condition: Condition, column: pa.ChunkedArray) -> Any:
    """Where it holds: a boolean column, null where the row has no value."""
    operator, value = condition.operator, condition.values[0] if condition.values else None
    if operator in ("=", "!=") and value is None:
        return pc.is_null(column) if operator == "=" else pc.is_valid(column)
    if operator == "contains":
        return pc.match_substring(column, value)
    if operator in _COMPARISONS:
        return _COMPARISONS[operator](column, pa.scalar(value, column.type))
    among = pc.is_in(column, value_set=pa.array(condition.values, column.type))
    among = pc.if_else(pc.is_valid(column), among, None)
    return among if operator in ("=", "in") else pc.invert(among)


def _sql(condition: Condition) -> str:
    column, operator = "`" + condition.column.replace("`", "``") + "`", condition.operator
    if condition.values == (None,):
        return f"{column} IS {'' if operator == '=' else 'NOT '}NULL"
    values = [_sql_literal(value) for value in condition.values]
    if operator == "contains":
        return f"contains({column}, {values[0]})"
    if operator in _COMPARISONS or operator == "=":
        return f"{column} {operator} {values[0]}"
    if operator == "!=":
        return f"{column} IS NULL OR {column} <> {values[0]}"
    if not values:
        return "true" if operator == "not in" else "false"
    if operator == "in":
        return f"{column} IN ({', '.join(values)})"
    return f"{column} IS NULL OR {column} NOT IN ({', '.join(values)})"


def _sql_literal(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, int | float) else "'" + str(value).replace("'", "''") + "'"


def _milvus(condition: Condition, fixed: bool) -> str:
    name = condition.column if fixed else f'$meta["{condition.column}"]'
    operator = condition.operator
    if condition.values == (None,):
        kept = operator == "!="
        return ('id != ""' if kept else 'id == ""') if fixed else f"exists {name}" if kept else f"not exists {name}"
    values = [_milvus_literal(value) for value in condition.values]
    if operator == "contains":
        if "\\" in str(condition.values[0]):  # Milvus Lite finds none of the rows that have it
            raise CrossModalError(f"filter: expected {condition.column}~ without a backslash in Milvus, found one")
        pattern = re.sub(r"([%_])", r"\\\1", str(condition.values[0]))
        return f"{name} like {_milvus_literal('%' + pattern + '%')}"
    if operator in _COMPARISONS:
        return f"{name} {operator} {values[0]}"
    if fixed:
        return f"{name} {'in' if operator in ('=', 'in') else 'not in'} [{', '.join(values)}]"
    among = " or ".join(f"{name} == {value}" for value in values) or 'id == ""'  # lists of JSON values are not in Lite
    return among if operator in ("=", "in") else f"not exists {name} or not ({among})"


def _milvus_literal(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    text = str(value)
    for character, written in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n")):
        text = text.replace(character, written)
    return f'"{text}"'


def _written(condition: Condition) -> str:
    values = "|".join("" if value is None else str(value).replace("|", "\\|") for value in condition.values)
    sign = {"in": "=", "not in": "!=", "contains": "~"}.get(condition.operator, condition.operator)
    return f"{condition.column}{sign}{values}"
