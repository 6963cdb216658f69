"""Classes by name, against a lookup row by row; labels that are no class, with their rows."""

import json
import pickle

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lossgraph.authoring.functions import as_loss
from lossgraph.catalogue import lookup
from lossgraph.compiler.rows import by_rows
from lossgraph.errors import InputError
from lossgraph.tables.columns import BadRowError, bind

CE = lookup("nn.CrossEntropyLoss").make()
SOFTMAX = lookup("gluon.SoftmaxCrossEntropyLoss").make()
NAMES = ["bird", "cat", "dog"]
SCORES = pa.array(np.zeros((4, 3), np.float32).tolist(), pa.list_(pa.float32(), 3))
COLUMNS = {"input": "scores", "target": "y"}


def table(labels, type_=None):
    cells = labels if isinstance(labels, pa.Array) else pa.array(labels, type_)
    return pa.record_batch({"scores": SCORES.slice(0, len(cells)), "y": cells})


def target(batch, classes):
    return bind(batch.schema, CE, COLUMNS, classes={"target": classes}).arrays(batch)["target"]


def encoded(codes, type_):
    return pa.DictionaryArray.from_arrays(pa.array([1, 0, 1, 2], codes), texts(type_)[1:])


def texts(type_):
    return pa.array(["dog", "bird", "dog", "cat"], type_)


CELLS = [texts(pa.string()), texts(pa.large_string()), texts(pa.string_view()),
         encoded(pa.int8(), pa.string()), encoded(pa.uint32(), pa.string_view())]  # fmt: skip


@pytest.mark.parametrize("cells", CELLS, ids=lambda cells: str(cells.type))
def test_texts_of_every_type_are_numbers_of_classes(cells):
    batch = table(cells)
    found = target(batch, NAMES)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, [2, 0, 2, 1])
    np.testing.assert_array_equal(target(batch.slice(1, 2), NAMES), [0, 2])
    np.testing.assert_array_equal(target(batch.slice(0, 0), NAMES), [])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text(max_size=2), min_size=1, max_size=4, unique=True), st.data())
def test_classes_are_looked_up_as_a_list_says(names, data):
    labels = data.draw(st.lists(st.sampled_from(names), max_size=4))
    encoded = data.draw(st.booleans())
    cells = pa.array(labels, pa.string())
    found = target(table(cells.dictionary_encode() if encoded else cells), names)
    assert found.tolist() == [names.index(label) for label in labels]


@pytest.mark.parametrize("said", [{"a": 1, "b": 0, "c": 1}, {1: "a", 0: "b"}, {"1": "a", "0": "b"}])
def test_numbers_of_classes_and_names_of_numbers(said, tmp_path):
    np.testing.assert_array_equal(target(table(["a", "b", "a"]), said), [1, 0, 1])
    path = tmp_path / "classes.json"
    path.write_text(json.dumps(said))
    np.testing.assert_array_equal(target(table(["a", "b", "a"]), str(path)), [1, 0, 1])
    np.testing.assert_array_equal(target(table(["a", "b", "a"]), path), [1, 0, 1])


def test_classes_may_be_numbers_and_lists_of_texts():
    np.testing.assert_array_equal(target(table([30, 10, 30]), [10, 20, 30]), [2, 0, 2])
    np.testing.assert_array_equal(target(table([True, False]), [False, True]), [1, 0])
    batch = table(pa.array([["a", "b"], ["b", "b"]]))
    np.testing.assert_array_equal(target(batch, ["a", "b"]), [[0, 1], [1, 1]])


@pytest.mark.parametrize("encode", [False, True])
def test_an_unknown_class_is_refused_with_its_row_and_what_is_near(encode):
    cells = pa.array(["dog", "cat", "dug"])
    batch = table(cells.dictionary_encode() if encode else cells)
    with pytest.raises(BadRowError, match=r"column 'y' has 'dug', .* 3 classes .*'dog'") as caught:
        target(batch, NAMES)
    assert caught.value.row == 2
    with pytest.raises(BadRowError) as caught:
        target(table(pa.array([["cat", "dog"], ["cat", "x"]])), NAMES)
    assert caught.value.row == 1
    np.testing.assert_array_equal(target(batch.slice(0, 2), NAMES), [2, 1])


@pytest.mark.parametrize(
    ("classes", "match"),
    [
        ({"taget": NAMES}, "no column is given for 'taget' .did you mean 'target'"),
        ({"target": ["a", "a"]}, "twice"),
        ({"target": []}, "there are none"),
        ({"target": {"a": -1}}, "the number of 'a' is -1"),
        ({"target": {"a": "b"}}, "the number of 'a' is 'b'"),
        ({"target": [1, 2]}, "is of string, and its classes are 1, 2"),
        ({"target": "/nowhere/classes.json"}, "No such file"),
        ({"input": NAMES}, "is of float, and its classes are 'bird'"),
    ],
)
def test_classes_that_are_not_clear_are_refused(classes, match):
    with pytest.raises(InputError, match=match):
        bind(table(["a"]).schema, CE, COLUMNS, classes=classes)


@pytest.mark.parametrize(("text", "match"), [("[1", "is no JSON"), ("3", "has no list of classes")])
def test_a_file_that_has_no_classes_is_refused(text, match, tmp_path):
    path = tmp_path / "classes.json"
    path.write_text(text)
    with pytest.raises(InputError, match=match):
        bind(table(["a"]).schema, CE, COLUMNS, classes={"target": path})


def test_a_binding_with_classes_pickles():
    batch = table(["cat", "dog"])
    binding = bind(batch.schema, CE, COLUMNS, classes={"target": NAMES})
    again = pickle.loads(pickle.dumps(binding))
    np.testing.assert_array_equal(again.arrays(batch)["target"], [1, 2])


def checked(loss, batch, thorough=False):
    binding = bind(batch.schema, loss, dict(zip(loss.arguments, ("scores", "y"), strict=False)))
    program = by_rows(loss.program(binding.types("N")), "N").program
    binding.check_labels(program, binding.arrays(batch), thorough)


@pytest.mark.parametrize("loss", [CE, SOFTMAX], ids=lambda loss: loss.name)
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64", "uint64", "float32"])
def test_a_label_that_is_no_class_is_refused_with_its_row(loss, dtype):
    for labels in ([0, 1, 2, 2], [], [2]):
        checked(loss, table(np.asarray(labels).astype(dtype)))
    with pytest.raises(BadRowError, match=r"column 'y' has 3: expected one of 0 to 2") as caught:
        checked(loss, table(np.asarray([0, 2, 3, 7]).astype(dtype)))
    assert caught.value.row == 2
    if not dtype.startswith("u"):
        with pytest.raises(BadRowError, match=r"column 'y' has -1: expected one of") as caught:
            checked(loss, table(np.asarray([0, -1, 3, 7]).astype(dtype)))
        assert caught.value.row == 1


def test_a_label_that_is_ignored_is_no_mistake():
    for thorough in (False, True):
        checked(CE, table([0, -100, 2, -100]), thorough)
        with pytest.raises(BadRowError, match="has -99") as caught:
            checked(CE, table([0, -100, -99, 5]), thorough)
        assert caught.value.row == 2


def test_labels_that_a_loss_computes_with_are_looked_at_where_it_matters():
    def shifted(F, pred, label):
        return -F.pick(F.log_softmax(pred), label + 1, mode="raise")

    loss = as_loss(shifted)
    checked(loss, table([0, 1, 1, 2]))  # the engine refuses it, without the row
    with pytest.raises(BadRowError, match="column 'y' has 3") as caught:
        checked(loss, table([0, 1, 1, 2]), thorough=True)
    assert caught.value.row == 3
