"""Columns bound to inputs: types, arrays without copies, refusals by name and by row."""

import pickle
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

import lossgraph as lg
from lossgraph.authoring.functions import as_loss
from lossgraph.catalogue import lookup
from lossgraph.errors import InputError
from lossgraph.tables.columns import BadRowError, bind, bound_numbers

CE = lookup("gluon.SoftmaxCrossEntropyLoss").make()
L2 = lookup("gluon.L2Loss").make()
NAMES = {"pred": "scores", "label": "y"}


def batch_of(**columns):
    return pa.record_batch({name: pa.array(cells) for name, cells in columns.items()})


def fixed(rows, length, dtype=np.float32):
    values = np.arange(rows * length, dtype=dtype)
    return pa.FixedSizeListArray.from_arrays(pa.array(values), length)


def test_numbers_and_lists_of_one_length_are_read_without_copies():
    batch = batch_of(scores=fixed(5, 3), y=np.array([0, 2, 1, 0, 2]))
    binding = bind(batch.schema, CE, NAMES)
    assert binding.inputs == ("pred", "label")
    assert binding.columns == ("scores", "y")
    assert binding.types("N") == {"pred": ("float32", ("N", 3)), "label": ("int64", ("N",))}
    cut = batch.slice(1, 3)
    arrays = binding.arrays(cut)
    np.testing.assert_array_equal(
        arrays["pred"], np.arange(15, dtype=np.float32).reshape(5, 3)[1:4]
    )
    np.testing.assert_array_equal(arrays["label"], [2, 1, 0])
    values = batch.column("scores").values.to_numpy()
    assert np.shares_memory(arrays["pred"], values)
    assert np.shares_memory(arrays["label"], batch.column("y").to_numpy())


def test_lists_of_equal_lengths_are_a_matrix_and_others_refused():
    batch = batch_of(scores=[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], y=[0, 1, 1])
    binding = bind(batch.schema, CE, NAMES)
    assert binding.types("N")["pred"] == ("float64", ("N", "C"))
    assert not binding.is_settled
    settled = binding.settled(batch)
    assert settled.types("N")["pred"] == ("float64", ("N", 2))
    assert settled.is_settled
    np.testing.assert_array_equal(settled.arrays(batch.slice(1))["pred"], [[3, 4], [5, 6]])
    other = batch_of(scores=[[1.0, 2.0], [3.0]], y=[0, 1])
    with pytest.raises(BadRowError, match=r"row 1: column 'scores' has a list of length 1, .* 2"):
        binding.arrays(other)
    with pytest.raises(BadRowError, match="row 0: column 'scores' has a list of length 1"):
        settled.arrays(other.slice(1))


def squared(F, pred, label):
    return F.mean(F.square(pred - label), axis=1)


@pytest.mark.parametrize("loss", [lookup("optax.softmax_cross_entropy").make(), as_loss(squared)])
@pytest.mark.parametrize("length", [None, 2])
def test_lists_that_a_loss_computes_with_together_are_of_one_length(loss, length):
    cells = [[0.25, 0.75], [1.0, 0.0]]
    batch = batch_of(p=cells, q=pa.array(cells, pa.list_(pa.float64(), length or -1)))
    binding = bind(batch.schema, loss, dict(zip(loss.arguments, "pq", strict=False)))
    program, binding = binding.program(loss, "N")
    shapes = [node.type.shape for node in program.inputs]
    assert shapes[0] == shapes[1]
    assert (shapes[0][1] == 2) == (length == 2)
    settled = binding.settled(batch)
    assert {shape for _, shape in settled.types("N").values()} == {("N", 2)}
    if length is None:
        other = batch_of(p=cells, q=[[1.0], [1.0]])
        with pytest.raises(InputError, match=r"'q' has lists of length 1, and 'p' of 2: .* equal"):
            binding.settled(other)


def test_columns_side_by_side_stand_in_the_order_of_their_numbers():
    columns = {f"logit_{i}": np.full(3, i, np.float32) for i in (10, 2, *range(2), *range(3, 10))}
    batch = batch_of(**columns, y=[0, 1, 2])
    binding = bind(batch.schema, CE, {"pred": "logit_*", "label": "y"})
    assert binding.types("N")["pred"] == ("float32", ("N", 11))
    pred = binding.arrays(batch)["pred"]
    np.testing.assert_array_equal(pred, np.tile(np.arange(11, dtype=np.float32), (3, 1)))
    listed = bind(batch.schema, CE, {"pred": ["logit_3", "logit_1"], "label": "y"})
    np.testing.assert_array_equal(listed.arrays(batch)["pred"], [[3, 1]] * 3)


def test_nulls_are_found_at_every_depth():
    batch = batch_of(scores=[[1.0, 2.0], None, [3.0, None], [1.0, 1.0]], y=[0, 1, 1, None])
    binding = bind(batch.schema, CE, NAMES)
    np.testing.assert_array_equal(binding.missing(batch), [False, True, True, True])
    np.testing.assert_array_equal(binding.missing(batch.slice(2)), [True, True])
    assert binding.missing(batch.slice(0, 1)) is None
    with pytest.raises(BadRowError, match="row 1: column 'scores' is null"):
        binding.arrays(batch)


def test_labels_that_are_floats_are_whole_numbers():
    batch = batch_of(scores=fixed(3, 2), y=[0.0, 1.0, 1.5])
    binding = bind(batch.schema, CE, NAMES)
    labels = binding.arrays(batch.slice(0, 2))["label"]
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(labels, [0, 1])
    with pytest.raises(BadRowError, match=r"row 2: column 'y' has 1\.5: expected a whole number"):
        binding.arrays(batch)


@pytest.mark.parametrize(
    ("columns", "match"),
    [
        ({"pred": "score", "label": "y"}, "no column 'score' .did you mean 'scores'"),
        ({"perd": "scores", "label": "y"}, "no input 'perd' .did you mean 'pred'"),
        ({"pred": "scores"}, "needs 'label'"),
        ({"pred": "logit_*", "label": "y"}, "no column is like 'logit_.'"),
        ({"pred": "scores", "label": "name"}, "'name' is of string: .* classes="),
        ({"pred": "scores", "label": "when"}, "'when' is of timestamp"),
        ({"pred": ["scores", "y"], "label": "y"}, "side by side"),
        ({"pred": "x_*", "label": "y"}, "none between 'x_0' and 'x_2'"),
        ({"pred": "?", "label": "y"}, "several|kinds|of string"),
    ],
)
def test_what_cannot_be_bound_is_refused_by_name(columns, match):
    schema = pa.schema(
        {"scores": pa.list_(pa.float32(), 2), "y": pa.int64(), "name": pa.string(),
         "when": pa.timestamp("s"), "x_0": pa.float32(), "x_2": pa.float32(), "s": pa.string()}
    )  # fmt: skip
    with pytest.raises(InputError, match=match):
        bind(schema, CE, columns)


def test_a_binding_and_its_refusals_can_be_sent_to_other_processes():
    batch = batch_of(scores=fixed(2, 2), y=[0, 1])
    binding = pickle.loads(pickle.dumps(bind(batch.schema, CE, NAMES)))
    np.testing.assert_array_equal(binding.arrays(batch)["label"], [0, 1])
    error = BadRowError(1, "y", "is null").placed("a.parquet", 100, np.array([0, 3]))
    error = pickle.loads(pickle.dumps(error))
    assert (error.row, error.column, error.reason) == (103, "y", "is null")
    assert str(error) == "a.parquet, row 103: column 'y' is null"


def test_a_distribution_where_there_could_be_a_label_stays_as_it_is():
    loss = lookup("nn.CrossEntropyLoss").make()
    batch = batch_of(p=fixed(2, 3), y=np.array([1.0, 2.0]), q=fixed(2, 3, np.float64))
    for column, dtype in (("y", "int64"), ("q", "float64")):
        binding = bind(batch.schema, loss, {"input": "p", "target": column})
        assert binding.types("N")["target"][0] == dtype
        assert binding.arrays(batch)["target"].dtype == dtype


@pytest.mark.parametrize("cells", [[[1, 0], [1, 1]], [[1.0, 0.0], [1.0, 1.0]]])
def test_a_mask_of_numbers_is_bool(cells):
    loss = lookup("losses.list_net").make()
    batch = batch_of(s=fixed(2, 2), m=cells)
    columns = {"score": "s", "relevance": "s", "mask": "m"}
    mask = bind(batch.schema, loss, columns).arrays(batch)["mask"]
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, [[True, False], [True, True]])
    other = batch_of(s=fixed(2, 2), m=[[1, 0], [1, 2]])
    with pytest.raises(BadRowError, match="row 1: column 'm' has 2: expected 0 or 1"):
        bind(other.schema, loss, columns).arrays(other)


def test_one_number_for_all_rows_is_no_column():
    loss = lookup("gluon.HuberLoss").make({"rho": lg.Input("rho")})
    schema = pa.schema({"x": pa.float32(), "r": pa.float32()})
    columns = {"pred": "x", "label": "x"}
    assert bind(schema, loss, columns, shared=["rho"]).inputs == ("pred", "label")
    with pytest.raises(InputError, match="rho is one number for all rows: give it by shared="):
        bind(schema, loss, {**columns, "rho": "r"})
    with pytest.raises(InputError, match="HuberLoss needs 'rho': say it by shared="):
        bind(schema, loss, columns)
    with pytest.raises(InputError, match="label: given by a column, and as what all rows share"):
        bind(schema, loss, columns, shared=["rho", "label"])


@pytest.mark.parametrize(
    "cells",
    [
        [0.5, 2.0], [1, 2], [True, False], [Decimal("0.5"), Decimal("1.25")],
        pa.array([0.5, 0.5]).dictionary_encode(), np.array([1, 2], np.float16),
    ],
    ids=lambda cells: type(cells[0]).__name__,
)  # fmt: skip
def test_weights_are_numbers_of_any_type(cells):
    batch = batch_of(w=cells)
    weights = bound_numbers(batch.schema, "weights", "w").numbers(batch)
    assert weights.dtype == np.float64
    np.testing.assert_array_equal(weights, [float(x) for x in batch.column("w").to_pylist()])


def test_weights_that_are_no_numbers_are_refused():
    schema = pa.schema({"w": pa.list_(pa.float32()), "text": pa.string(), "x": pa.float32()})
    for name, match in (("w", "one number a row"), ("text", "of string"), ("*", "no column '.'")):
        with pytest.raises(InputError, match=match):
            bound_numbers(schema, "weights", name)
    batch = batch_of(x=[1.0, None])
    with pytest.raises(BadRowError, match="row 1: column 'x' is null"):
        bound_numbers(batch.schema, "weights", "x").numbers(batch)


def frame_of_polars(cells):
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(cells, schema_overrides={"s": polars.Array(polars.Float32, 2)})
    return frame.with_columns(polars.col("y").cast(polars.Categorical))


def frame_of_pandas(cells):
    frame = pytest.importorskip("pandas").DataFrame(cells)
    return pa.Table.from_pandas(frame.astype({"y": "category"}))


def relation_of_duckdb(cells):
    rows = ", ".join(f"({s}, '{y}')" for s, y in zip(cells["s"], cells["y"], strict=True))
    query = f"select s::float[2] as s, y::enum('cat', 'dog') as y from (values {rows}) t(s, y)"
    return pytest.importorskip("duckdb").sql(query)


@pytest.mark.parametrize("made_by", [frame_of_polars, frame_of_pandas, relation_of_duckdb])
def test_frames_give_lists_and_categories(made_by):
    cells = {"s": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], "y": ["dog", "cat", "dog"]}
    table = pa.table(made_by(cells))
    (batch,) = table.to_batches()
    columns = {"pred": "s", "label": "y"}
    binding = bind(table.schema, CE, columns, classes={"label": ["cat", "dog"]}).settled(batch)
    arrays = binding.arrays(batch)
    np.testing.assert_array_equal(arrays["pred"], cells["s"])
    np.testing.assert_array_equal(arrays["label"], [1, 0, 1])
    assert binding.types("N")["pred"][1] == ("N", 2)
