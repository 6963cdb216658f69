"""Lists of different lengths, and bad labels, through the whole of an evaluation."""

import numpy as np
import pyarrow as pa
import pytest

from compilers import needs_compiler
from lossgraph.catalogue import lookup
from lossgraph.tables import evaluate
from lossgraph.tables.columns import BadRowError, Piece, bind, joined
from tolerances import ORACLE, TOLERANCE

COLUMNS = {"score": "s", "relevance": "r"}


def lists_of(count, dtype, seed):
    draw = np.random.default_rng(seed)
    lengths = draw.integers(1, 40, count)
    scores = [draw.normal(size=n).astype(dtype) for n in lengths]
    return scores, [draw.integers(0, 3, n).astype(dtype) for n in lengths]


def losses_of(scores, relevance):
    """Top-one cross-entropy of lists, one at a time."""
    found = []
    for s, r in zip(scores, relevance, strict=True):
        s, r = s.astype(np.float64), r.astype(np.float64)
        target = np.exp(r) / np.exp(r).sum()
        found.append(-(target * (s - np.log(np.exp(s).sum()))).sum())
    return np.array(found)


@needs_compiler  # by ONNX Runtime's graph the last digits of a row depend on its address
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_losses_of_padded_lists_are_the_same_however_the_table_is_cut(dtype):
    scores, relevance = lists_of(300, dtype, seed=1)
    table = pa.table({"s": pa.array(scores), "r": pa.array(relevance)})
    cuts = [table, pa.concat_tables([table.slice(i, 37) for i in range(0, 300, 37)])]
    cuts.append(pa.concat_tables([table.slice(299 - i, 1) for i in range(300)]))
    reports = [evaluate("losses.list_net", cut, COLUMNS, ragged="pad").to_arrow() for cut in cuts]
    assert reports[1] == reports[0]
    assert reports[2] == reports[0]
    expected = losses_of(scores, relevance).mean()
    np.testing.assert_allclose(reports[0]["mean"][0].as_py(), expected, *TOLERANCE[dtype])


def test_arrays_of_pieces_stand_in_the_order_of_the_batch():
    scores, relevance = lists_of(50, "float64", seed=2)
    batch = pa.record_batch({"s": pa.array(scores), "r": pa.array(relevance)})
    loss = lookup("losses.list_net").make()
    binding = bind(batch.schema, loss, COLUMNS, ragged="pad")
    pieces = binding.pieces(batch)
    assert len(pieces) > 1
    found = joined(pieces, [{**p.arrays, "loss": np.asarray(loss(**p.arrays))} for p in pieces])
    np.testing.assert_allclose(found["loss"], losses_of(scores, relevance), *ORACLE)
    whole = binding.arrays(batch)
    for name, array in whole.items():
        length = array.shape[1]
        np.testing.assert_array_equal(found[name][:, :length], array)
        assert not found[name][:, length:].any()


def test_sums_over_rows_are_added_and_one_piece_is_itself():
    pieces = [Piece(np.array([1]), {}), Piece(np.array([2, 0]), {})]
    found = [{"x": np.array([5.0]), "g": np.ones(2)}, {"x": np.array([6.0, 7.0]), "g": np.ones(2)}]
    both = joined(pieces, found, ["g"])
    np.testing.assert_array_equal(both["x"], [7, 5, 6])
    np.testing.assert_array_equal(both["g"], [2, 2])
    assert joined([Piece(None, {})], found[:1], ["g"])["g"] is found[0]["g"]


@pytest.mark.parametrize("name", ["gluon.SoftmaxCrossEntropyLoss", "nn.CrossEntropyLoss"])
@pytest.mark.parametrize(("bad", "column"), [(7, "y"), (-2, "y"), (None, "y")])
def test_a_label_that_is_no_class_is_told_with_its_row(name, bad, column):
    labels = [0, 1, 2] * 40
    labels[100] = bad
    scores = pa.array(np.zeros((120, 3), np.float32).tolist(), pa.list_(pa.float32(), 3))
    table = pa.table({"s": scores, "y": labels})
    columns = dict(zip(lookup(name).make().arguments, ("s", "y"), strict=False))
    wrong = "is null" if bad is None else f"has {bad}: expected one of 0 to 2"
    with pytest.raises(BadRowError, match=f"row 100: column 'y' {wrong}"):
        evaluate(name, table, columns)
    if bad is None:
        assert evaluate(name, table, columns, nulls="skip").to_arrow()["count"][0].as_py() == 119


def test_two_columns_of_lists_are_one_axis():
    table = pa.table({"p": [[0.5, 0.5], [1.0, 0.0]], "q": [[1.0, 0.0], [0.0, 1.0]]})
    columns = {"logits": "p", "labels": "q"}
    report = evaluate("optax.softmax_cross_entropy", table, columns)
    expected = (np.log(2) + np.log(1 + np.e)) / 2
    np.testing.assert_allclose(report.to_arrow()["mean"][0].as_py(), expected, *ORACLE)
