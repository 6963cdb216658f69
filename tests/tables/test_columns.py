"""Columns bound to inputs: types, arrays without copies, refusals by name and by row."""

import pickle

import numpy as np
import pyarrow as pa
import pytest

from lossgraph.authoring.functions import as_loss
from lossgraph.catalogue import lookup
from lossgraph.errors import InputError
from lossgraph.tables.columns import BadRowError, bind

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
