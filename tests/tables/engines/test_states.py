"""What processes hand over, and how they refuse: without an engine."""

from __future__ import annotations

import pickle
import sys

import numpy as np
import pyarrow as pa
import pytest

from lossgraph import InputError
from lossgraph.catalogue import lookup
from lossgraph.tables import engines, evaluate, local
from lossgraph.tables.engines import refusals, states, tasks
from lossgraph.tables.plan import plan_of
from lossgraph.tables.sources import open_source
from lossgraph.tables.worst import WorstRows

RNG = np.random.default_rng(0)
COLUMNS = {"pred": "p", "label": "y"}


def table_of(rows, groups):
    columns = {"p": RNG.normal(size=rows), "y": RNG.normal(size=rows)}
    keys = [None, *(f"user {i}" for i in range(groups - 1))]
    named = pa.array(keys).take(pa.array(np.arange(rows) % groups))
    return pa.table({**columns, "user": named, "day": np.arange(rows) % 3})


def plan_for(table, *by, **options):
    return plan_of(lookup("l2").make(), table.schema, COLUMNS, by=by, **options)


@pytest.mark.parametrize(("groups", "by"), [(1, ()), (5, ("user",)), (6000, ("user", "day"))])
def test_states_of_pieces_are_the_whole(groups, by):
    table = open_source(table_of(7000, groups))
    plan = plan_for(table, *by)
    whole = local.run(plan, table.parts(), threads=1)
    pieces = tasks.Packed.of(tasks.Job(plan, 500, tuple(table.parts())))
    found = [b for i in range(len(table.parts())) for b in tasks.of_parts(pieces, [i])]
    rows = [row for batch in found for row in batch.to_pylist()]
    buckets = {row["bucket"] for row in rows}
    if groups > states.FEW:
        assert buckets == set(range(states.BUCKETS_OF_MANY))
    else:
        assert all(-states.BUCKETS_OF_FEW <= bucket < 0 for bucket in buckets)
    by_bucket = [
        tasks.merged(pieces, [row["state"] for row in rows if row["bucket"] == bucket])
        for bucket in buckets
    ]
    merged = states.merged(plan, by_bucket)
    assert merged.rows == whole.rows
    assert merged.groups.summary().equals(whole.groups.summary())


def test_states_of_tasks_without_rows_say_nothing():
    table = open_source(table_of(100, 5))
    plan = plan_for(table, keep=("user",), collect={"worst": WorstRows(3, ("user",))})
    collected = [local.run(plan, parts) for parts in ((), table.parts())]
    empty, full = (states.of(each).column("state")[0].as_py() for each in collected)
    found = states.merged(plan, [*([empty] * 200), full, *([empty] * 200)])
    assert found.rows == 100
    assert found.others["worst"].table().num_rows == 3


def test_a_group_has_one_bucket_wherever_it_is_met():
    table = table_of(12_000, 6000)
    plan = plan_for(table, "user")
    halves = [table.slice(start, 6000) for start in (0, 6000)]
    found = [
        {
            key: row["bucket"]
            for row in states.of(local.run(plan, open_source(half).parts())).to_pylist()
            for key in _keys(plan, row["state"])
        }
        for half in halves
    ]
    assert len(found[0]) == 6000
    assert found[0] == found[1]


def _keys(plan, state):
    return states.merged(plan, [state]).groups.summary().column("user").to_pylist()


def test_a_table_in_memory_is_sent_once():
    table = table_of(600_000, 1).slice(300_000)
    parts = tuple(open_source(table).parts())
    assert len(parts) > 1
    job = tasks.Job(plan_for(table), 500, parts)
    assert len(tasks.Packed.of(job).data) < 1.1 * table.nbytes


def test_a_table_that_cannot_be_sent_is_refused():
    table = table_of(10, 1)
    job = tasks.Job(plan_for(table), 500, (iter([]) and (lambda: None),))
    with pytest.raises(InputError, match="cannot be sent to the processes of an engine"):
        tasks.Packed.of(job)


@pytest.mark.parametrize("text", ['row 7: it\'s "null"', "a\\b, été, [x]", "two\nlines"])
def test_what_a_worker_refuses_is_refused_here_in_its_words(text):
    def wrapped():
        try:
            with refusals.carried():
                raise InputError(text)
        except refusals.RefusedError as error:
            sent = pickle.loads(pickle.dumps(error))
            raise RuntimeError(f"Task failed 4 times:\n  {sent}\nat x") from None

    with pytest.raises(InputError) as caught, refusals.unwrapped():
        wrapped()
    assert str(caught.value) == text


def test_other_errors_of_an_engine_stay():
    with pytest.raises(ZeroDivisionError), refusals.unwrapped():
        raise ZeroDivisionError


@pytest.mark.parametrize(("engine", "module"), [("ray", "ray"), ("spark", "pyspark.sql")])
def test_an_engine_that_is_not_installed_is_named(monkeypatch, engine, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match=rf"pip install 'lossgraph\[{engine}\]'"):
        evaluate("l2", pa.table({"p": [1.0], "y": [2.0]}), COLUMNS, engine=engine)


def test_tables_of_this_machine_are_no_datasets_of_engines():
    assert not engines.is_frame(pa.table({"p": [1.0]}))
    assert not engines.is_frame("a.parquet")
