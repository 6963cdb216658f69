"""Conditions: text means what SQL means by it, nulls too, and what is no condition is refused."""

from __future__ import annotations

import datetime
import decimal
import pickle

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from lossgraph.errors import InputError
from lossgraph.tables.where import condition

DAY = datetime.datetime(2026, 1, 1)
TABLE = pa.table(
    {
        "number": list(range(60)),
        "year": pa.array([2018 + i % 5 if i % 7 else None for i in range(60)], pa.int32()),
        "country": [("de", "fr", "us", None)[i % 4] for i in range(60)],
        "kind": pa.array([("a", "b", None)[i % 3] for i in range(60)]).dictionary_encode(),
        "score": pa.array(np.cos(np.arange(60)).astype("float32")),
        "ok": [(True, False, None)[i % 3] for i in range(60)],
        "when": [DAY + datetime.timedelta(days=i) for i in range(60)],
        "day": [(DAY + datetime.timedelta(days=i)).date() for i in range(60)],
        "price": [decimal.Decimal(i) / 4 for i in range(60)],
        "a b": [i % 2 for i in range(60)],
        "x.y": [i % 3 for i in range(60)],
    }
)
SAME = [
    "country == 'de'",
    "country != 'de'",
    "country == 'de' and year >= 2020 and not ok",
    "country == 'de' and (year >= 2020 or not ok)",
    "not (country == 'de' or year < 2020)",
    "not country == 'de'",
    "number < 10 or number > 50",
    "number >= 3 and number <= 7",
    "score > 0.5",
    "score < -1e-1",
    "year in (2018, 2019)",
    "year not in (2018, 2019)",
    "not year in (2018, 2019)",
    "number in (1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 2)",
    "not (year in (2018, 2019, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10))",
    "country not in ('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'de')",
    "kind == 'a'",
    "kind in ('a', 'c') or kind != 'a'",
    "not kind in ('b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j')",
    "ok",
    "not ok",
    "ok or country == 'fr'",
    "ok == True",
    "day in ('2026-01-05', '2026-02-07')",
    "price > 3.5",
    "price == 10",
    "2020 <= year",
    "number == year",
    "number > +5",
]
IN_SQL = {
    "country is None": "country is null",
    "country is not None": "country is not null",
    "country == None or year != None": "country is null or year is not null",
    "None is country": "country is null",
    "country in ('de', None)": "country = 'de' or country is null",
    "country not in ('de', None)": "not (country = 'de' or country is null)",
    "country in [] or number == 1": "number = 1",
    "3 < number <= 7 < year": "3 < number and number <= 7 and 7 < year",
    "`a b` == 1 and x.y == 2 and `x.y` < 3": '"a b" = 1 and "x.y" = 2',
    "country in {'de', 'fr'}": "country in ('de', 'fr')",
    "when >= '2026-02-01'": "\"when\" >= '2026-02-01'",
    "when < '2026-01-03 12:00:00'": "\"when\" < '2026-01-03 12:00:00'",
    "True and number < 5": "number < 5",
    "price == 1e1": "price = 10",
    "price > 3.501 and price < 1e9": "price > 3.501",
    "score == 1": "score = 1",
}


def kept(where):
    chosen = condition(where, TABLE.schema)
    batch = TABLE.combine_chunks().to_batches()[0]
    found = chosen.filtered(batch)["number"].to_pylist()
    assert chosen.positions(batch) == found
    assert set(chosen.columns) <= set(TABLE.schema.names)
    return found


@pytest.mark.parametrize("text", [*SAME, *IN_SQL])
def test_text_means_what_sql_means(text):
    with duckdb.connect() as connection:
        connection.register("t", TABLE)
        asked = f"select number from t where {IN_SQL.get(text, text)} order by number"
        assert kept(text) == [row[0] for row in connection.execute(asked).fetchall()]


def test_numbers_are_compared_in_the_precision_of_the_column():
    batch = pa.record_batch({"x": pa.array([0.1, 0.2], pa.float32())})
    assert condition("x == 0.1", batch.schema).positions(batch) == [0]


def test_expressions_of_pyarrow_are_taken():
    where = pc.bit_wise_and(pc.field("number"), 1) == pc.field("a b")
    assert kept(where) == list(range(60))
    chosen = condition(where & (pc.field("score") > 0), TABLE.schema)
    assert chosen.columns == ("number", "score", "a b")
    assert pickle.loads(pickle.dumps(chosen)).columns == chosen.columns


def test_text_names_the_columns_that_are_read():
    assert condition("year > 3 or not ok", TABLE.schema).columns == ("year", "ok")


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("county == 'de'", "there is no column 'county'.*did you mean 'country'"),
        (pc.field("county") == "de", "there is no column 'county'.*did you mean 'country'"),
        ("`a c` == 1", "there is no column 'a c'"),
        ("x.z == 1", "there is no column 'x.z'"),
        ("country = 'de'", "\"country = 'de'\" is no condition: expected comparisons of columns"),
        ("", "'' is no condition"),
        ("country ==", "is no condition"),
        ("(" * 5000, "is no condition"),
        ("country == '\0'", "is no condition"),
        ("len(country) == 2", r"'len\(country\)' cannot be said"),
        ("country.upper() == 'A'", r"'country\.upper\(\)' cannot be said"),
        ("country[0] == 'd'", r"'country\[0\]' cannot be said"),
        ("year + 1 > 2020", "'year \\+ 1' cannot be said"),
        ("year == -'a'", "cannot be said"),
        ("year if ok else ok", "cannot be said"),
        ("lambda: ok", "cannot be said"),
        ("[x for x in y]", "cannot be said"),
        ("f'{year}' == 'a'", "cannot be said"),
        ("b'x' == country", "cannot be said"),
        ("__import__('os')", "cannot be said"),
        ("year", "'year' is int32, and no condition: compare it"),
        ("not country", "'country' is string, and no condition: compare it"),
        ("'de'", "\"'de'\" cannot be said"),
        ("1 == 1", "1 is compared with no column"),
        ("country == 3", "column 'country' is string, and 3 is not"),
        ("year == 'x'", "column 'year' is int32, and 'x' is not"),
        ("year == 10000000000000000000000000000000", "column 'year' is int32, and 1000"),
        ("year == True", "column 'year' is int32, and True is not"),
        ("ok == 1", "column 'ok' is bool, and 1 is not"),
        ("when > 'soon'", "column 'when' is timestamp.*, and 'soon' is not"),
        ("kind in ('a', 3)", "column 'kind' is string, and 3 is not"),
        ("year in 3", "in needs a list: year in"),
        ("year in country", "in needs a list: year in"),
        ("year < None", "None is no size: write year is None"),
        ("year is 3", "'year is 3' cannot be said"),
        ("country == year", "where: "),
        (pc.field("year") + 1, "is int32, and no condition"),
        (3, "where is an expression of pyarrow or text, got int"),
    ],
)
def test_what_is_no_condition_is_refused(where, message):
    with pytest.raises(InputError, match=message) as caught:
        condition(where, TABLE.schema)
    assert "\n" not in str(caught.value)
