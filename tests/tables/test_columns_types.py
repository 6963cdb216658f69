"""Every type of Arrow that is numbers, or lists of them, against ``to_pylist``; nulls as well."""

import decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lossgraph.catalogue import lookup
from lossgraph.errors import InputError
from lossgraph.tables.columns import BadRowError, bind
from lossgraph.tables.columns.cells import null_rows

L2 = lookup("gluon.L2Loss").make()
CE = lookup("gluon.SoftmaxCrossEntropyLoss").make()
MATRICES = [[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]], [[9.0, 0.5], [0.25, 0.0]]]
F = pa.float32()


def decimals(type_):
    return pa.array([decimal.Decimal(x) for x in ("1.25", "-2.5", "0.75")], type_)


def storage_of(type_, cells):
    return pa.ExtensionArray.from_storage(type_, pa.array(cells, type_.storage_type))


CELLS = {
    "decimal128": decimals(pa.decimal128(9, 4)),
    "decimal256": decimals(pa.decimal256(50, 4)),
    "dictionary": pa.array([1.5, 2.5, 1.5]).dictionary_encode(),
    "runs": pa.RunEndEncodedArray.from_arrays([2, 3], [1.5, 2.5]),
    "list": pa.array(MATRICES, pa.list_(pa.list_(F))),
    "fixed_in_fixed": pa.array(MATRICES, pa.list_(pa.list_(F, 2), 2)),
    "list_in_fixed": pa.array(MATRICES, pa.list_(pa.list_(F), 2)),
    "fixed_in_list": pa.array(MATRICES, pa.large_list(pa.list_(F, 2))),
    "view": pa.array([row[0] for row in MATRICES], pa.list_view(F)),
    "large_view": pa.array([row[0] for row in MATRICES], pa.large_list_view(F)),
    "list_of_dictionary": pa.ListArray.from_arrays(
        pa.array([0, 2, 4, 6]), pa.array([1.0, 2, 2, 1, 3, 3]).dictionary_encode()
    ),
    "dictionary_of_lists": pa.DictionaryArray.from_arrays(
        pa.array([1, 0, 1]), pa.array([[1.0, 2], [3, 4]])
    ),
    "list_of_decimals": pa.array([[decimal.Decimal("1.5")], [decimal.Decimal("0.1")], [1]]),
    "list_of_bools": pa.array([[True, False], [False, False], [True, True]]),
    "empty_lists": pa.array([[], [], []], pa.list_(F)),
}
if hasattr(pa, "decimal32"):  # since pyarrow 18
    CELLS["decimal32"] = decimals(pa.decimal32(5, 2))
    CELLS["decimal64"] = decimals(pa.decimal64(5, 2))


@pytest.mark.parametrize("name", CELLS)
def test_cells_are_those_of_pylist(name):
    cells = CELLS[name]
    batch = pa.record_batch({"x": cells})
    binding = bind(batch.schema, L2, {"pred": "x", "label": "x"}).settled(batch)
    dtype, shape = binding.types("N")["pred"]
    for cut in (batch, batch.slice(1), batch.slice(2, 1), batch.slice(0, 0)):
        found = binding.arrays(cut)["pred"]
        assert (found.dtype.name, found.shape) == (dtype, (cut.num_rows, *shape[1:]))
        assert found.flags.c_contiguous
        expected = np.array(cut.column("x").to_pylist(), dtype).reshape(found.shape)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64",
                                   "uint64", "float16", "float32", "float64"])  # fmt: skip
def test_labels_stay_as_they_are_stored_and_scores_are_floats(dtype):
    values = np.array([0, 1, 1], dtype)
    batch = pa.record_batch({"x": pa.array(values)})
    arrays = bind(batch.schema, L2, {"pred": "x", "label": "x"}).arrays(batch)
    assert np.shares_memory(arrays["label"], batch.column("x").to_numpy())
    assert arrays["label"].dtype == dtype
    assert arrays["pred"].dtype == (dtype if dtype.startswith("float") else "float64")
    np.testing.assert_array_equal(arrays["pred"], values)


def test_bools_are_labels_and_scores():
    batch = pa.record_batch({"s": pa.array([[0.5, 1], [2, 3.0]]), "y": pa.array([True, False])})
    label = bind(batch.schema, CE, {"pred": "s", "label": "y"}).arrays(batch)["label"]
    assert label.dtype == np.uint8
    np.testing.assert_array_equal(label, [1, 0])


def test_tensors_have_the_order_of_their_logical_axes():
    plain = np.arange(48, dtype=np.float32).reshape(2, 2, 3, 4)
    order = (2, 0, 1)  # the first logical axis is the last stored one
    tensor = pa.fixed_shape_tensor(F, [2, 3, 4], permutation=list(order))
    columns = {
        "plain": pa.FixedShapeTensorArray.from_numpy_ndarray(plain),
        "moved": storage_of(tensor, plain.reshape(2, -1).tolist()),
    }
    batch = pa.record_batch(columns)
    binding = bind(batch.schema, L2, {"pred": "plain", "label": "moved"})
    assert binding.types("N")["label"] == ("float32", ("N", 4, 2, 3))
    for cut, expected in ((batch, plain), (batch.slice(1), plain[1:])):
        arrays = binding.arrays(cut)
        np.testing.assert_array_equal(arrays["pred"], expected)
        np.testing.assert_array_equal(arrays["label"], expected.transpose(0, 3, 1, 2))
        assert arrays["label"].flags.c_contiguous
    assert np.shares_memory(binding.arrays(batch)["pred"], columns["plain"].storage.values)


@pytest.mark.parametrize(
    "cells",
    [
        pa.array(["a"]), pa.array([0], pa.date32()), pa.array([0], pa.duration("s")),
        pa.array([{"a": 1}]), pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())),
        pa.array([[["a"]]]), pa.array([b"0" * 16], pa.binary(16)),
    ],
    ids=lambda cells: str(cells.type),
)  # fmt: skip
def test_what_is_no_number_is_refused_by_its_type(cells):
    schema = pa.schema([("x", cells.type)])
    with pytest.raises(InputError, match="column 'x' is of "):
        bind(schema, L2, {"pred": "x", "label": "x"})


def test_a_batch_of_another_type_than_the_schema_is_refused():
    binding = bind(pa.schema({"x": pa.list_(F)}), L2, {"pred": "x", "label": "x"})
    for read in (binding.arrays, binding.settled):
        with pytest.raises(InputError, match="expected lists 1 deep of float"):
            read(pa.record_batch({"x": pa.array([1.0])}))
    flat = bind(pa.schema({"x": F}), L2, {"pred": "x", "label": "x"})
    with pytest.raises(InputError, match="expected lists 0 deep of float"):
        flat.arrays(pa.record_batch({"x": pa.array([[1.0]])}))


FLOATS = st.floats(width=32) | st.none()
NESTED = (
    st.lists(FLOATS)
    | st.lists(st.none() | st.lists(FLOATS, max_size=3))
    | st.lists(st.none() | st.lists(st.none() | st.lists(FLOATS, max_size=2), max_size=3))
)
TYPES = {0: F, 1: pa.list_(F), 2: pa.large_list(pa.list_(F))}


def depth_of(cell):
    return 1 + max(map(depth_of, cell), default=0) if isinstance(cell, list) else 0


def has_null(cell):
    return cell is None or (isinstance(cell, list) and any(map(has_null, cell)))


@settings(max_examples=60, deadline=None)
@given(NESTED, st.data())
def test_rows_with_nulls_at_any_depth_are_found(rows, data):
    depth = max(map(depth_of, rows), default=0)
    cells = pa.array(rows, TYPES[depth])
    start = data.draw(st.integers(0, len(rows)))
    found = null_rows(cells.slice(start))
    expected = [i for i, cell in enumerate(rows[start:]) if has_null(cell)]
    assert (found is None and not expected) or list(found) == expected


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 3), st.integers(0, 2), st.data())
def test_lists_of_one_length_are_those_of_pylist(length, inner, data):
    matrix = st.lists(
        st.lists(st.floats(width=32), min_size=inner, max_size=inner),
        min_size=length, max_size=length,
    )  # fmt: skip
    rows = data.draw(st.lists(matrix, min_size=1, max_size=5))
    batch = pa.record_batch({"x": pa.array(rows, pa.list_(pa.list_(F)))})
    binding = bind(batch.schema, L2, {"pred": "x", "label": "x"}).settled(batch)
    start = data.draw(st.integers(0, len(rows)))
    found = binding.arrays(batch.slice(start))["pred"]
    shape = (len(rows) - start, length, inner if length else 0)
    expected = np.array(rows[start:], np.float32).reshape(shape)
    np.testing.assert_array_equal(found, expected)


def test_a_dictionary_may_have_null_among_its_values():
    cells = pa.DictionaryArray.from_arrays(pa.array([0, 1, None, 0]), pa.array([1.0, None]))
    batch = pa.record_batch({"x": cells})
    binding = bind(batch.schema, L2, {"pred": "x", "label": "x"})
    np.testing.assert_array_equal(binding.missing(batch), [False, True, True, False])
    with pytest.raises(BadRowError, match="row 1: column 'x' is null"):
        binding.arrays(batch)


def test_a_column_of_nulls_alone_can_be_bound_and_every_row_is_missing():
    batch = pa.record_batch({"x": pa.nulls(2), "l": pa.array([[None], [None]])})
    for name in ("x", "l"):
        binding = bind(batch.schema, L2, {"pred": name, "label": name})
        np.testing.assert_array_equal(binding.missing(batch), [True, True])
        assert not len(binding.arrays(batch.slice(0, 0))["pred"])


def test_infinities_and_nan_are_numbers():
    batch = pa.record_batch({"x": pa.array([np.nan, np.inf, -np.inf], pa.float32())})
    binding = bind(batch.schema, L2, {"pred": "x", "label": "x"})
    assert binding.missing(batch) is None
    np.testing.assert_array_equal(binding.arrays(batch)["pred"], [np.nan, np.inf, -np.inf])
