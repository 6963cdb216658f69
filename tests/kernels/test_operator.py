"""Kernels as custom operators of the installed ONNX Runtime."""

import ctypes
import threading

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx.reference import ReferenceEvaluator

from hand_written import CC, STRICT, HandWritten, build_kernels, needs_cc
from lossgraph import gluon
from lossgraph.errors import InputError
from lossgraph.kernels.library import Library
from lossgraph.kernels.model import kernel_model
from lossgraph.kernels.unit import translation_unit
from lossgraph.runtime.sessions import make_session
from support import assert_close

pytestmark = needs_cc

TYPES = {"pred": ("float32", ("N", "C")), "label": ("float32", ("N", "C"))}
PROGRAM = gluon.L2Loss().program(TYPES, grad=("pred",))


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The path of a library, and the domain of its kernel."""
    assert CC is not None
    return build_kernels([HandWritten(PROGRAM)], tmp_path_factory.mktemp("built"), None, *STRICT)


@pytest.fixture(scope="module")
def session(built):
    path, domain = built
    return make_session(kernel_model(HandWritten(PROGRAM), domain), libraries=[path])


def _arrays(rows, columns, seed=0):
    return np.random.default_rng(seed).normal(size=(2, rows, columns)).astype(np.float32)


def _run(session, pred, label):
    return session.run(["loss", "grad_pred"], {"pred": pred, "label": label})


def _check(session, rows, columns):
    pred, label = _arrays(rows, columns)
    loss, grad = _run(session, pred, label)
    error = pred.astype(np.float64) - label
    assert_close(loss, ((error**2).sum(1) / columns / 2).astype(np.float32))
    assert_close(grad, (error / columns).astype(np.float32))


@pytest.mark.parametrize(
    ("rows", "columns"), [(1, 1), (1, 100_000), (64, 10), (257, 1000), (100_000, 3)]
)
def test_a_kernel_computes_any_lengths(session, rows, columns):
    _check(session, rows, columns)


@pytest.mark.parametrize(("rows", "columns"), [(0, 10), (0, 0)])
def test_an_empty_batch_gives_empty_arrays(session, rows, columns):
    loss, grad = _run(session, *_arrays(rows, columns))
    assert loss.shape == (rows,)
    assert grad.shape == (rows, columns)


def test_the_number_of_threads_changes_no_bit(built):
    path, domain = built
    model = kernel_model(HandWritten(PROGRAM), domain)
    arrays = _arrays(3000, 1000)
    one, several = (
        _run(make_session(model, threads=threads, libraries=[path]), *arrays) for threads in (1, 4)
    )
    direct = Library(path).run(0, *arrays)
    for a, b, c in zip(one, several, direct, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)


def test_a_session_is_called_by_several_threads(session):
    wrong = []

    def call(seed):
        pred, label = _arrays(200, 500, seed)
        for _ in range(20):
            _, grad = _run(session, pred, label)
            if not np.array_equal(grad, (pred - label) * np.float32(1 / 500)):
                wrong.append(seed)

    threads = [threading.Thread(target=call, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_what_the_plan_refuses_is_an_error(session):
    pred, label = _arrays(4, 10)
    with pytest.raises(Exception, match="pred and label differ in shape"):
        _run(session, pred, label[:3])
    _check(session, 4, 10)  # and the session goes on


def test_a_rank_that_the_kernel_was_not_made_for_is_an_error(built):
    path, domain = built
    model = kernel_model(HandWritten(PROGRAM), domain)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.ClearField("shape")
    session = make_session(model, libraries=[path])
    pred, label = _arrays(4, 10)
    with pytest.raises(Exception, match="another rank"):
        _run(session, pred[None], label[None])


def test_a_chunk_that_gets_no_memory_is_an_error(tmp_path):
    class Failing(HandWritten):
        def text(self, number):
            first = "  const float *pred"
            return (
                super()
                .text(number)
                .replace(first, f"  if (columns == 13 && index) lg_fail(call);\n{first}")
            )

    path, domain = build_kernels([Failing(PROGRAM)], tmp_path, None, *STRICT)
    session = make_session(kernel_model(Failing(PROGRAM), domain), libraries=[path])
    _check(session, 2000, 12)
    with pytest.raises(Exception, match="no memory"):
        _run(session, *_arrays(5000, 13))
    _check(session, 10, 13)
    with pytest.raises(InputError, match="no memory"):
        Library(path).run(0, *_arrays(5000, 13))


def test_a_release_without_our_table_gets_no_operators(built):
    """Older ones answer 0 when they are asked for it; then nothing is registered."""
    asked = []
    function = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_uint32)

    def get_api(version):
        asked.append(version)

    callback = function(get_api)
    base = (ctypes.c_void_p * 2)(ctypes.cast(callback, ctypes.c_void_p), None)
    register = ctypes.CDLL(str(built[0])).RegisterCustomOps
    register.restype = ctypes.c_void_p
    assert register(None, base) is None
    assert asked == [17]


def test_two_kernels_stand_in_one_library(tmp_path):
    kernels = [HandWritten(PROGRAM, name) for name in ("First", "Second")]
    path, domain = build_kernels(kernels, tmp_path, "lossgraph.two", *STRICT)
    assert [kernel.name for kernel in Library(path).kernels] == ["First", "Second"]
    for kernel in kernels:
        _check(make_session(kernel_model(kernel, domain), libraries=[path]), 64, 10)


def test_two_libraries_serve_one_session(built, tmp_path):
    first, second = HandWritten(PROGRAM), HandWritten(PROGRAM, "Other")
    other = build_kernels([second], tmp_path, "lossgraph.other")
    model = kernel_model(first, built[1])
    model.graph.node.append(kernel_model(second, other[1]).graph.node[0])
    model.graph.node[1].output[:] = ["again", "grad_again"]
    model.graph.output.append(onnx.helper.make_tensor_value_info("again", 1, ["N"]))
    model.opset_import.append(onnx.helper.make_opsetid(other[1], 1))
    session = make_session(model, libraries=[built[0], other[0]])
    pred, label = _arrays(64, 10)
    loss, again = session.run(["loss", "again"], {"pred": pred, "label": label})
    np.testing.assert_array_equal(loss, again)


def test_sessions_share_a_library(built):
    path, domain = built
    model = kernel_model(HandWritten(PROGRAM), domain)
    sessions = [make_session(model, libraries=[path]) for _ in range(3)]
    del sessions[0]  # what it leaves behind is not what the others use
    for session in sessions:
        _check(session, 64, 10)


def test_without_the_library_the_body_gives_equal_results(built):
    path, domain = built
    body = PROGRAM.to_onnx()
    model = kernel_model(HandWritten(PROGRAM), domain, body=body)
    onnx.checker.check_model(model, full_check=True)
    arrays = _arrays(64, 10)
    by_kernel = _run(make_session(model, libraries=[path]), *arrays)
    feeds = dict(zip(("pred", "label"), arrays, strict=True))
    for outputs in (
        _run(make_session(model), *arrays),
        _run(make_session(body), *arrays),
        ReferenceEvaluator(model).run(None, feeds),
    ):
        for expected, actual in zip(outputs, by_kernel, strict=True):
            assert_close(actual, expected)


def test_the_kernel_is_one_node_of_a_profile(built, tmp_path):
    path, domain = built
    options = ort.SessionOptions()
    options.register_custom_ops_library(str(path))
    options.enable_profiling = True
    options.profile_file_prefix = str(tmp_path / "profile")
    model = kernel_model(HandWritten(PROGRAM), domain, body=PROGRAM.to_onnx())
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    _check(session, 64, 10)
    with open(session.end_profiling()) as file:
        profile = file.read()
    assert '"op_name" : "Fused_by_hand"' in profile
    assert '"op_name" : "Mul"' not in profile


def test_a_body_of_another_signature_is_refused(built):
    other = gluon.L1Loss().program({"pred": TYPES["pred"], "label": TYPES["label"]})
    with pytest.raises(InputError, match="the body takes and gives"):
        kernel_model(HandWritten(PROGRAM), built[1], body=other.to_onnx())


def test_a_direct_call_refuses_what_the_kernel_does_not_take(built):
    library = Library(built[0])
    pred, label = _arrays(4, 10)
    with pytest.raises(InputError, match=r"takes .* got"):
        library.run(0, pred, label.astype(np.float64))
    with pytest.raises(InputError, match="differ in shape"):
        library.run(0, pred, label[:3])
    assert library.shapes(0, [(5, 7), (5, 7)]) == [(5,), (5, 7)]


def test_a_file_that_is_no_library_is_refused(tmp_path):
    path = tmp_path / "text.so"
    path.write_text("no library")
    with pytest.raises(InputError, match="no library of kernels"):
        Library(path)


@pytest.mark.parametrize("name", ['a"', "a b", "a\n", "", "ü"])
def test_a_name_that_is_none_in_c_is_refused(name):
    with pytest.raises(InputError, match="expected a name"):
        translation_unit([HandWritten(PROGRAM, name)])
    with pytest.raises(InputError, match="expected a name"):
        translation_unit([HandWritten(PROGRAM)], name)
