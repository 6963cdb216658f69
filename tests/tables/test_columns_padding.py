"""Lists of different lengths: padded where a loss has an input for their ends, else refused."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lossgraph as lg
from lossgraph.catalogue import lookup
from lossgraph.errors import InputError
from lossgraph.tables.columns import BadRowError, bind
from lossgraph.tables.columns.padding import groups_of
from tolerances import ORACLE

RANKING = lookup("losses.list_net").make()
CTC = lookup("gluon.CTCLoss").make()
SCORES = [[1.0, 2.0, 3.0], [1.0], [], [4.0, 5.0]]
RELEVANCE = [[1.0, 0.0, 1.0], [1.0], [], [0.0, 1.0]]
COLUMNS = {"score": "s", "relevance": "r"}


def table(**columns):
    return pa.record_batch({name: pa.array(cells) for name, cells in columns.items()})


def ranking(s=SCORES, r=RELEVANCE):
    return table(s=s, r=r)


def padded(rows, length):
    return np.array([row + [0] * (length - len(row)) for row in rows], np.float64)


def test_lists_are_padded_with_zeros_and_a_mask_says_where():
    batch = ranking()
    binding = bind(batch.schema, RANKING, COLUMNS, ragged="pad")
    assert binding.inputs == ("score", "relevance", "mask")
    assert binding.columns == ("s", "r")
    assert binding.types("N") == {
        "score": ("float64", ("N", "score_length")),
        "relevance": ("float64", ("N", "score_length")),
        "mask": ("bool", ("N", "score_length")),
    }
    assert binding.is_settled
    arrays = binding.arrays(batch)
    np.testing.assert_array_equal(arrays["score"], padded(SCORES, 3))
    np.testing.assert_array_equal(arrays["relevance"], padded(RELEVANCE, 3))
    np.testing.assert_array_equal(arrays["mask"], padded([[1] * len(s) for s in SCORES], 3))
    np.testing.assert_array_equal(
        binding.arrays(batch.slice(1, 2), {"score_length": 4})["score"], padded([[1.0], []], 4)
    )


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.floats(width=32), max_size=9), min_size=1, max_size=8), st.data())
def test_what_a_row_is_padded_to_does_not_depend_on_the_other_rows(rows, data):
    batch = ranking(pa.array(rows, pa.list_(pa.float64())), pa.array(rows, pa.list_(pa.float32())))
    binding = bind(batch.schema, RANKING, COLUMNS, ragged="pad")
    start = data.draw(st.integers(0, len(rows)))
    seen = {}
    for first, cut in ((0, batch), (start, batch.slice(start))):
        for piece in binding.pieces(cut):
            for i, row in enumerate(range(cut.num_rows) if piece.rows is None else piece.rows):
                arrays = [array[i].tobytes() for array in piece.arrays.values()]
                assert seen.setdefault(first + int(row), arrays) == arrays
                mask = piece.arrays["mask"][i]
                found = piece.arrays["score"][i]
                np.testing.assert_array_equal(found[mask], rows[first + int(row)])
                assert not found[~mask].any()
                assert len(found) <= max(1, 1.5 * len(rows[first + int(row)]))
    assert sorted(seen) == list(range(len(rows)))


def test_losses_of_padded_rows_are_those_of_the_rows_alone():
    batch = ranking().slice(0, 2)
    binding = bind(batch.schema, RANKING, COLUMNS, ragged="pad")
    found = np.asarray(RANKING(**binding.arrays(batch)))
    for i in range(2):
        s, r = np.array(SCORES[i]), np.array(RELEVANCE[i])
        target = np.exp(r) / np.exp(r).sum()
        expected = -(target * (s - np.log(np.exp(s).sum()))).sum()
        np.testing.assert_allclose(found[i], expected, *ORACLE)


def test_sequences_have_lengths_of_their_own():
    frames = [[[0.1, 0.2, 0.7], [0.3, 0.3, 0.4], [0.5, 0.1, 0.4]], [[0.9, 0.05, 0.05]]]
    batch = table(p=frames, t=[[1], []])
    binding = bind(batch.schema, CTC, {"pred": "p", "label": "t"}, ragged="pad")
    assert not binding.is_settled
    binding = binding.settled(batch)
    assert binding.types("N") == {
        "pred": ("float64", ("N", "pred_length", 3)),
        "label": ("int64", ("N", "label_length")),
        "pred_lengths": ("int64", ("N",)),
        "label_lengths": ("int64", ("N",)),
    }
    arrays = binding.arrays(batch)
    np.testing.assert_array_equal(arrays["pred_lengths"], [3, 1])
    np.testing.assert_array_equal(arrays["label_lengths"], [1, 0])
    np.testing.assert_array_equal(arrays["pred"][0], frames[0])
    np.testing.assert_array_equal(arrays["pred"][1], [*frames[1], [0] * 3, [0] * 3])
    binding.check_labels(CTC.program(binding.types("N")), arrays)
    later = table(p=[[[0.1, 0.2, 0.7], [0.1, 0.2]]], t=[[1]])
    with pytest.raises(BadRowError, match=r"row 0: column 'p' has a list of length 2, .* 3"):
        binding.arrays(later)


@pytest.mark.parametrize(
    ("name", "inputs", "expected"),
    [
        ("losses.focal_ctc", ("log_probs", "targets"),
         {"input_lengths": ("log_probs",), "target_lengths": ("targets",)}),
        ("optax.ctc_loss", ("logits", "labels"),
         {"logit_paddings": ("logits",), "label_paddings": ("labels",)}),
        ("optax.softmax_cross_entropy", ("logits", "labels"), {"where": ("logits", "labels")}),
    ],
)  # fmt: skip
def test_the_names_of_inputs_say_whose_ends_they_are(name, inputs, expected):
    loss = lookup(name).make()
    cells = {"p": [[[0.5, 0.5]], [[0.5, 0.5]] * 2], "t": [[1], [1, 1]]}
    if "where" in expected:
        cells = {"p": [[0.5], [0.5, 0.5]], "t": [[1.0], [0.5, 0.5]]}
    batch = table(**cells)
    columns = dict(zip(inputs, "pt", strict=True))
    binding = bind(batch.schema, loss, columns, ragged="pad").settled(batch)
    assert {filler.input: filler.of for filler in binding.fillers} == expected
    arrays = binding.arrays(batch)
    loss.program(binding.types("N"))
    for filler, of in expected.items():
        wanted = {"lengths": [1, 2], "paddings": [[0, 1], [0, 0]]}.get(
            filler.split("_")[-1], [[True, False], [True, True]]
        )
        np.testing.assert_array_equal(arrays[filler], wanted)
        assert len(arrays[of[0]][0]) == 2


@pytest.mark.parametrize("compose", [lg.padded, lg.masked])
def test_losses_made_for_padding_are_filled(compose):
    loss = compose(lookup("optax.softmax_cross_entropy_with_integer_labels").make())
    batch = table(s=[[[1.0, 2.0]] * 3, [[0.5, 0.25]]], y=[[0, 1, 1], [1]])
    binding = bind(batch.schema, loss, {"logits": "s", "labels": "y"}, ragged="pad").settled(batch)
    assert len(binding.fillers) == 1
    value = float(np.asarray(loss(**binding.arrays(batch))))
    logits, labels = np.array([[1.0, 2.0]] * 3 + [[0.5, 0.25]]), [0, 1, 1, 1]
    expected = np.log(np.exp(logits).sum(1)) - logits[range(4), labels]
    np.testing.assert_allclose(value, expected.mean(), *ORACLE)


def test_lists_of_one_length_need_no_padding_but_have_lengths():
    loss = lookup("losses.focal_ctc").make()
    frames = pa.array([[[0.5, 0.5]] * 2] * 2, pa.list_(pa.list_(pa.float32(), 2), 2))
    batch = table(p=frames, t=pa.array([[1], [1]], pa.list_(pa.int64(), 1)))
    columns = {"log_probs": "p", "targets": "t"}
    with pytest.raises(InputError, match=r"needs 'input_lengths': .* ragged='pad'"):
        bind(batch.schema, loss, columns)
    binding = bind(batch.schema, loss, columns, ragged="pad")
    assert binding.types("N")["log_probs"] == ("float32", ("N", 2, 2))
    arrays = binding.arrays(batch)
    np.testing.assert_array_equal(arrays["input_lengths"], [2, 2])
    np.testing.assert_array_equal(arrays["target_lengths"], [1, 1])
    assert [piece.rows for piece in binding.pieces(batch)] == [None]
    assert bind(batch.schema, CTC, {"pred": "p", "label": "t"}, ragged="pad").fillers == ()


def test_a_column_of_lengths_stands_before_those_of_lists():
    batch = table(p=[[[0.5, 0.5]], [[0.5, 0.5]] * 2], t=[[1], [1]], n=[1, 1])
    columns = {"pred": "p", "label": "t", "pred_lengths": "n"}
    binding = bind(batch.schema, CTC, columns, ragged="pad")
    assert binding.inputs == ("pred", "label", "pred_lengths", "label_lengths")
    np.testing.assert_array_equal(binding.arrays(batch)["pred_lengths"], [1, 1])


def test_lists_that_cannot_be_padded_are_refused_with_their_row():
    softmax = lookup("gluon.SoftmaxCrossEntropyLoss").make()
    batch = table(s=[[1.0, 2.0], [3.0]], y=[0, 0])
    for ragged in ("refuse", "pad"):
        binding = bind(batch.schema, softmax, {"pred": "s", "label": "y"}, ragged=ragged)
        with pytest.raises(BadRowError, match="row 1: column 's' has a list of length 1"):
            binding.settled(batch).arrays(batch)
    refusing = bind(ranking().schema, RANKING, COLUMNS)
    with pytest.raises(BadRowError, match=r"row 1: column 's' has .* 3: ragged='pad' pads them"):
        refusing.arrays(ranking())
    other = ranking(r=[*RELEVANCE[:3], [0.0]])
    binding = bind(other.schema, RANKING, COLUMNS, ragged="pad")
    for found in (binding.arrays, binding.pieces):
        with pytest.raises(BadRowError, match=r"row 3: column 'r' has .* 1, and 's' one of 2"):
            found(other)
    with pytest.raises(InputError, match="ragged: expected one of"):
        bind(batch.schema, softmax, {"pred": "s", "label": "y"}, ragged="cut")


def test_a_bad_cell_in_a_piece_is_counted_in_the_batch():
    batch = table(p=[[[0.5, 0.5]], [[0.5, 0.5]] * 2, [[0.1, 0.2]]], t=[[1.0], [1.0], [0.5]])
    binding = bind(batch.schema, CTC, {"pred": "p", "label": "t"}, ragged="pad").settled(batch)
    with pytest.raises(BadRowError, match=r"has 0\.5: expected a whole number") as caught:
        binding.pieces(batch)
    assert caught.value.row == 2
    missing = table(p=[[[0.5, 0.5]], None], t=[[1], [1]])
    with pytest.raises(BadRowError, match="row 1: column 'p' is null"):
        binding.pieces(missing)


def test_rows_of_two_lengths_are_grouped_by_both():
    lengths = {"a": np.array([1, 5, 1, 5, 0]), "b": np.array([3, 3, 9, 3, 3])}
    found = {tuple(rows): padded_to for rows, padded_to in groups_of(lengths)}
    assert found == {(0, 4): {"a": 1, "b": 3}, (1, 3): {"a": 6, "b": 3}, (2,): {"a": 1, "b": 12}}
    longest = np.arange(1, 3000)
    for rows, padded_to in groups_of({"a": longest}):
        assert (longest[rows] <= padded_to["a"]).all()
        assert (padded_to["a"] <= longest[rows] * 1.5).all()
