"""Running: inputs checked before the engine sees them, arrays of any kind, threads, providers."""

from __future__ import annotations

import subprocess
import sys
import threading
import types as python_types

import numpy as np
import onnxruntime
import pytest

import lossgraph as lg
from lossgraph import gluon
from lossgraph.compiler import tiles
from lossgraph.ir.evaluate import evaluate
from lossgraph.runtime import compiled as compiled_module
from lossgraph.runtime import plans, runner, session_cache
from lossgraph.runtime.arrays import kind_of, to_numpy
from lossgraph.runtime.sessions import make_session, resolve_providers
from support import assert_close

TYPES = {"pred": ("float32", ("N", 3)), "label": ("int64", ("N",))}
PRED = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
LABEL = np.array([0, 2])


@pytest.fixture(scope="module")
def compiled():
    return lg.compile(gluon.SoftmaxCELoss(), TYPES, grad=("pred",))


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"pred": PRED}, r"missing \['label'\]"),
        ({"pred": PRED, "label": LABEL, "weight": PRED}, r"unknown \['weight'\]"),
        ({"pred": PRED.astype(float), "label": LABEL}, r"pred: expected float32\[N,3\].*astype"),
        ({"pred": PRED[0], "label": LABEL}, "pred: expected .* of rank 2"),
        ({"pred": PRED[:, :2], "label": LABEL}, "axis 1 of .* is 3"),
        ({"pred": PRED, "label": LABEL[:1]}, "dim 'N' is 2 in axis 0 of pred"),
        ({"pred": PRED.astype(">f4"), "label": LABEL}, "byte order"),
        ({"pred": PRED, "label": np.array([0, 3])}, r"label\[1\] is 3.*allowed, 0 to 2"),
        ({"pred": PRED, "label": np.array([-1, 0])}, r"label\[0\] is -1"),
        ({"pred": object(), "label": LABEL}, "expected an array"),
        ({"pred": [[1, 2, 3], [4, 5]], "label": LABEL}, "not an array"),
    ],
)
def test_wrong_arrays_are_refused(compiled, arrays, says):
    with pytest.raises(lg.InputError, match=says):
        compiled(**arrays)


def test_a_wrong_dtype_is_a_type_error_and_a_value_error(compiled):
    with pytest.raises(TypeError):
        compiled(PRED.astype(np.float64), LABEL)
    with pytest.raises(ValueError, match="convert with"):
        compiled(PRED.astype(np.float64), LABEL)
    with pytest.raises(lg.LossgraphError):
        compiled(PRED.astype(np.float64), LABEL)


def test_positions_and_names_do_not_mix_twice(compiled):
    with pytest.raises(lg.InputError, match="by position and by name"):
        compiled(PRED, LABEL, pred=PRED)
    with pytest.raises(lg.InputError, match="3 arrays"):
        compiled(PRED, LABEL, PRED)


def test_dtypes_that_do_not_exist_here_are_refused():
    with pytest.raises(lg.DtypeError, match="complex128"):
        gluon.L2Loss()(PRED.astype(complex), PRED.astype(complex))
    with pytest.raises(lg.DtypeError, match="not supported"):
        lg.compile(gluon.L2Loss(), {"pred": ("float8", ("N",)), "label": ("float32", ("N",))})


def test_any_layout_is_read(compiled):
    expected, grads = compiled(PRED, LABEL)
    wide = np.repeat(np.repeat(PRED, 2, 0), 2, 1)
    frozen = PRED.copy()
    frozen.flags.writeable = False
    for pred in (np.asfortranarray(PRED), wide[::2, ::2], frozen):
        value, g = compiled(pred, LABEL)
        assert_close(value, expected)
        assert_close(g["pred"], grads["pred"])
    row = np.broadcast_to(PRED[:1], (2, 3))
    assert_close(compiled(row, LABEL)[0], compiled(row.copy(), LABEL)[0])


def test_lists_are_arrays():
    assert_close(gluon.L1Loss()([[1.0, 2.0]], [[0.0, 0.0]]), np.array([1.5]))


# --- out ------------------------------------------------------------------------------------


def test_outputs_are_written_in_place(compiled):
    expected, grads = compiled(PRED, LABEL)
    loss, grad = np.empty(2, np.float32), np.empty((2, 3), np.float32)
    value, written = compiled(PRED, LABEL, out={"loss": loss, "grad_pred": grad})
    assert value is loss
    assert written["pred"] is grad
    assert_close(loss, expected)
    assert_close(grad, grads["pred"])
    value, written = compiled(np.asfortranarray(PRED), LABEL, out={"grad_pred": grad})
    assert written["pred"] is grad
    assert_close(value, expected)


@pytest.mark.parametrize(
    ("out", "says"),
    [
        ({"loss": np.empty(3, np.float32)}, r"out\['loss'\]: expected float32\[2\]"),
        ({"loss": np.empty(2)}, "expected float32"),
        ({"value": np.empty(2, np.float32)}, "the outputs are"),
        ({"grad_pred": np.empty((3, 2), np.float32).T}, "C-contiguous"),
        (np.empty(2, np.float32), "out: expected a mapping of names"),
    ],
)
def test_wrong_out_arrays_are_refused(compiled, out, says):
    with pytest.raises(lg.InputError, match=says):
        compiled(PRED, LABEL, out=out)


# --- kinds of arrays ------------------------------------------------------------------------


class Tensor:
    """An array of another library: it speaks DLPack, and its module reads it back."""

    def __init__(self, array):
        self.array = np.asarray(array)

    def __dlpack__(self, **kwargs):
        return self.array.__dlpack__(**kwargs)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


@pytest.fixture
def library(monkeypatch):
    module = python_types.ModuleType("some_library")
    module.from_dlpack = lambda array: Tensor(np.from_dlpack(array))
    monkeypatch.setitem(sys.modules, "some_library", module)
    monkeypatch.setattr(Tensor, "__module__", "some_library.tensors")


@pytest.mark.usefixtures("library")
def test_a_tensor_in_gives_a_tensor_out(compiled):
    expected, grads = compiled(PRED, LABEL)
    value, found = compiled(Tensor(PRED), Tensor(LABEL))
    assert isinstance(value, Tensor)
    assert isinstance(found["pred"], Tensor)
    assert_close(value.array, expected)
    assert_close(found["pred"].array, grads["pred"])
    assert isinstance(gluon.L2Loss()(Tensor(PRED), Tensor(PRED)), Tensor)


@pytest.mark.usefixtures("library")
def test_dlpack_shares_memory():
    assert np.shares_memory(to_numpy("x", Tensor(PRED)), PRED)
    answer = np.ones(3)
    assert np.shares_memory(kind_of(Tensor(PRED))(answer).array, answer)


class OnDevice(Tensor):
    """An array that says it is on a GPU, with what such arrays have."""

    shape = property(lambda self: self.array.shape)
    dtype = property(lambda self: f"some_library.{self.array.dtype.name}")

    def __dlpack_device__(self):
        return (2, 0)


def test_an_array_on_a_gpu_needs_the_cuda_provider():
    if has_cuda():
        pytest.skip("CUDA is here")
    with pytest.raises(lg.ProviderError, match="'cuda' is not available here"):
        gluon.SoftmaxCELoss()(OnDevice(PRED), OnDevice(LABEL))


def test_arrays_on_devices_that_cannot_be_read_are_refused():
    class Elsewhere(OnDevice):
        def __dlpack_device__(self):
            return (8, 0)

    class OnSecond(OnDevice):
        def __dlpack_device__(self):
            return (2, 1)

    with pytest.raises(lg.InputError, match="DLPack device 8"):
        gluon.L2Loss()(Elsewhere(PRED), PRED)
    with pytest.raises(lg.InputError, match="several devices"):
        gluon.L2Loss()(OnDevice(PRED), OnSecond(PRED))
    with pytest.raises(lg.InputError, match="CPU's memory"):
        to_numpy("x", OnDevice(PRED))


@pytest.mark.usefixtures("library")
def test_bound_values_of_the_engine_agree(compiled):
    """The way that arrays on a GPU take, with the CPU as their device."""
    if not hasattr(onnxruntime.OrtValue, "from_dlpack"):
        with pytest.raises(lg.ProviderError, match="does not read DLPack"):
            compiled._runner.run({"pred": PRED, "label": LABEL}, device=("cpu", 0))
        return
    expected, grads = compiled(PRED, LABEL)
    arrays = {"pred": Tensor(PRED), "label": Tensor(LABEL)}
    loss, grad = compiled._runner.run(arrays, device=("cpu", 0))
    restored = kind_of(arrays["pred"])(loss)
    assert isinstance(restored, Tensor)
    assert_close(restored.array, expected)
    assert_close(grad.numpy(), grads["pred"])
    bad = {**arrays, "label": Tensor(np.array([0, 3]))}
    with pytest.raises(lg.InputError, match=r"label\[1\] is 3"):
        compiled._runner.run(bad, device=("cpu", 0))


@pytest.mark.gpu
def test_torch_tensors_on_a_gpu_stay_there():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    if not (has_cuda() and torch.cuda.is_available()):
        pytest.skip("no CUDA here")
    pred, label = torch.tensor(PRED, device="cuda"), torch.tensor(LABEL, device="cuda")
    value, grads = gluon.SoftmaxCELoss().value_and_grad(pred, label)
    assert value.is_cuda
    assert grads["pred"].is_cuda
    assert_close(value.cpu().numpy(), gluon.SoftmaxCELoss()(PRED, LABEL))


def test_what_has_an_array_method_is_an_array(compiled):
    class Boxed:
        def __array__(self, dtype=None, copy=None):
            return PRED

    assert_close(compiled(Boxed(), LABEL)[0], compiled(PRED, LABEL)[0])


def test_torch_tensors():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    pred = torch.tensor(PRED, requires_grad=True)
    value, grads = gluon.SoftmaxCELoss().value_and_grad(pred, torch.tensor(LABEL))
    expected = torch.nn.functional.cross_entropy(pred, torch.tensor(LABEL), reduction="none")
    expected.sum().backward()
    assert torch.allclose(value, expected)
    assert torch.allclose(grads["pred"], pred.grad)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_torch_tensors_of_other_dtypes(dtype):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    pred = torch.tensor(PRED).to(getattr(torch, dtype))
    value, grads = gluon.SoftmaxCELoss().value_and_grad(pred, torch.tensor(LABEL))
    assert value.dtype == grads["pred"].dtype == pred.dtype
    exact = torch.nn.functional.cross_entropy(pred.double(), torch.tensor(LABEL), reduction="none")
    assert_close(value.double().numpy(), exact.numpy(), dtype)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_jax_arrays(dtype):
    jnp = pytest.importorskip("jax.numpy", reason="JAX is not installed")
    pred = jnp.asarray(PRED, dtype)
    value, grads = gluon.SoftmaxCELoss().value_and_grad(pred, jnp.asarray(LABEL, "int32"))
    assert isinstance(value, type(pred))
    assert isinstance(grads["pred"], type(pred))
    assert value.dtype == grads["pred"].dtype == pred.dtype
    assert_close(np.asarray(value), gluon.SoftmaxCELoss()(PRED, LABEL), dtype)


def test_a_library_whose_dlpack_refuses_gets_a_copy(library, monkeypatch):
    def refuse(array):
        raise BufferError("not this dtype")

    module = sys.modules["some_library"]
    monkeypatch.setattr(module, "from_dlpack", refuse)
    monkeypatch.setattr(module, "asarray", lambda array: Tensor(array.copy()), raising=False)
    answer = kind_of(Tensor(PRED))(PRED)
    assert isinstance(answer, Tensor)
    assert_close(answer.array, PRED)


# --- signatures, threads, providers ---------------------------------------------------------


def test_a_signature_is_compiled_once(monkeypatch):
    import lossgraph.authoring.cache as module

    made = []
    real = module.Compiled
    monkeypatch.setattr(module, "Compiled", lambda *a: made.append(a) or real(*a))
    loss = gluon.L2Loss()
    for n in (2, 5, 7):
        loss(np.ones((n, 3), np.float32), np.zeros((n, 3), np.float32))
    assert len(made) == 1
    loss(np.ones((3, 3), np.float32), np.zeros((3, 3), np.float32))  # square: dims share a name
    loss(np.ones((1, 3), np.float32), np.zeros((1, 3), np.float32))  # a 1 may broadcast
    loss(np.ones((2, 3)), np.zeros((2, 3)))
    assert len(made) == 4


def test_changed_options_leave_nothing_behind():
    loss = gluon.L2Loss()
    for weight in range(9):
        loss._weight = float(weight)
        assert_close(loss(PRED, 0 * PRED), weight / 2 * (PRED**2).mean(1))
        assert len(loss._compiled_variants) <= 4


def test_a_body_that_sets_attributes_is_compiled_once():
    class Counting(gluon.Loss):
        traced = 0

        def hybrid_forward(self, F, pred):
            self.traced += 1
            return F.mean(pred, axis=0, exclude=True)

    loss = Counting(None, 0)
    for _ in range(4):
        loss(PRED)
    assert loss.traced == 1


def test_threads_share_a_loss():
    loss = gluon.SoftmaxCELoss()
    wrong = []

    def work(seed):
        rng = np.random.default_rng(seed)
        for _ in range(30):
            n, c = rng.integers(1, 9, 2)
            pred, label = rng.normal(size=(n, c)), rng.integers(0, c, n)
            value, grads = loss.value_and_grad(pred, label)
            shifted = pred - pred.max(1, keepdims=True)
            log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
            exact = np.exp(log_p) - np.eye(c)[label]
            if not np.allclose(value, -log_p[np.arange(n), label]):
                wrong.append((seed, "value"))
            if not np.allclose(grads["pred"], exact):
                wrong.append((seed, "gradient"))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_providers_have_short_names():
    assert resolve_providers(None) == ["CPUExecutionProvider"]
    assert resolve_providers("cpu") == ["CPUExecutionProvider"]
    assert resolve_providers(["CPUExecutionProvider"]) == ["CPUExecutionProvider"]
    assert resolve_providers([("cpu", {"a": "1"})]) == [("CPUExecutionProvider", {"a": "1"})]
    run = lg.compile(gluon.L2Loss(), dict.fromkeys(("pred", "label"), ("float32", ("N",))),
                     providers=["cpu"])  # fmt: skip
    assert_close(run(PRED[0], PRED[1]), np.full(3, 4.5, np.float32))


def has_cuda():
    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()


@pytest.mark.parametrize("name", ["cuda", "CUDAExecutionProvider", "NoSuchEP", "tensorrt"])
def test_a_missing_provider_is_an_error_and_never_the_cpu(name):
    if has_cuda() and "cuda" in name.lower():
        pytest.skip("CUDA is here")
    with pytest.raises(lg.ProviderError, match="is not available here"):
        lg.compile(gluon.L2Loss(), dict.fromkeys(("pred", "label"), ("float32", ("N",))),
                   providers=[name])  # fmt: skip
    with pytest.raises(lg.ProviderError, match="empty"):
        resolve_providers([])


@pytest.mark.gpu
@pytest.mark.skipif(not has_cuda(), reason="ONNX Runtime has no CUDA provider here")
def test_cuda_agrees_with_the_cpu():
    types = {"pred": ("float32", ("N", 3)), "label": ("int64", ("N",))}
    on_gpu = lg.compile(gluon.SoftmaxCELoss(), types, grad=("pred",), providers="cuda")
    on_cpu = lg.compile(gluon.SoftmaxCELoss(), types, grad=("pred",))
    (value, grads), (expected, exact) = on_gpu(PRED, LABEL), on_cpu(PRED, LABEL)
    assert_close(value, expected)
    assert_close(grads["pred"], exact["pred"])


def test_a_provider_that_cannot_be_loaded_is_an_error(monkeypatch):
    monkeypatch.setattr(
        onnxruntime, "get_available_providers",
        lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"],
    )  # fmt: skip

    class Fallen:
        def __init__(self, *args, **kwargs):
            pass

        def get_providers(self):
            return ["CPUExecutionProvider"]

    monkeypatch.setattr(onnxruntime, "InferenceSession", Fallen)
    with pytest.raises(lg.ProviderError, match="could not be loaded"):
        make_session(b"", ["cuda"])


def test_without_onnx_runtime_export_works_and_running_says_what_to_install():
    code = """
import sys
sys.modules["onnxruntime"] = None
import numpy as np
from lossgraph import gluon
types = {k: ("float32", ("N",)) for k in ("pred", "label")}
assert gluon.L2Loss().to_onnx(types, grad=["pred"]).graph.node
try:
    gluon.L2Loss()(np.ones(2), np.ones(2))
except ValueError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'lossgraph[cpu]'" in done.stdout


def test_importing_is_light():
    code = "import lossgraph, sys; print([m for m in ('onnx', 'onnxruntime') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- bound ---------------------------------------------------------------------------------


@pytest.mark.parametrize("tiled", [False, True])
def test_a_bound_call_reads_and_writes_in_place(monkeypatch, tiled):
    if tiled:
        monkeypatch.setattr(tiles, "_WORTH_TILES", 1)
        monkeypatch.setattr(tiles, "_cache_size", lambda: 300)
    fn = lg.compile(
        gluon.L2Loss(), dict.fromkeys(("pred", "label"), ("float32", ("N", "C"))), grad=("pred",)
    )
    x, y = np.random.default_rng(0).random((2, 9, 5)).astype(np.float32)
    out = {"grad_pred": np.empty((9, 5), np.float32)}
    run = fn.bind(x, label=y, out=out)
    for _ in range(3):
        value, grads = run()
        assert_close(value, ((x - y) ** 2).mean(1) / 2)
        assert grads["pred"] is out["grad_pred"]
        assert_close(grads["pred"], (x - y) / 5)
        x += 1
    assert run()[0] is value


def test_a_bound_call_refuses_labels_when_it_meets_them():
    types = {"pred": ("float32", ("N", 3)), "label": ("int64", ("N",))}
    pred, label = np.zeros((4, 3), np.float32), np.array([0, 1, 2, 0])
    run = lg.compile(gluon.SoftmaxCELoss(), types).bind(pred, label)
    assert_close(run(), np.full(4, np.log(3), np.float32))
    label[2] = 3
    with pytest.raises(lg.InputError, match=r"label\[2\] is 3"):
        run()


@pytest.mark.parametrize(("change", "message"), [
    (lambda x: np.asfortranarray(x), "pred: bind takes C-contiguous arrays"),
    (lambda x: x.tolist(), "pred: bind takes numpy arrays, got list"),
    (lambda x: x[:, :2], "pred"),
])  # fmt: skip
def test_what_cannot_be_bound(change, message):
    types = dict.fromkeys(("pred", "label"), ("float32", ("N", 3)))
    pred = np.zeros((4, 3), np.float32)
    with pytest.raises(lg.InputError, match=message):
        lg.compile(gluon.L2Loss(), types).bind(change(pred), pred)


# --- called again and again ----------------------------------------------------------------


def test_a_specialized_call_computes_the_same(monkeypatch):
    """With a graph for its shape alone; other shapes are none of its business."""
    monkeypatch.setattr(plans, "_SPECIALIZE_AFTER", 3)
    types = {"pred": ("float32", ("N", "C")), "label": ("int64", ("N",))}
    fn = lg.compile(gluon.SoftmaxCELoss(weight=0.5), types, grad=("pred",))
    rng = np.random.default_rng(0)
    for _ in range(6):
        for samples, classes in ((4, 3), (5, 3)):
            x = rng.normal(size=(samples, classes)).astype(np.float32)
            label = rng.integers(0, classes, samples)
            arrays = {"pred": x, "label": label}
            right = evaluate(list(fn.program.outputs.values()), arrays)
            value, grads = fn(x, label)
            assert_close(value, right[0])
            assert_close(grads["pred"], right[1])
            with pytest.raises(lg.InputError, match=r"label\[1\] is -1"):
                fn(x, np.where(np.arange(samples) == 1, -1, label))


def test_the_fast_path_takes_no_other_array(monkeypatch):
    fn = lg.compile(gluon.L2Loss(), dict.fromkeys(("pred", "label"), ("float32", ("N", 3))))
    x = np.ones((2, 3), np.float32)
    for _ in range(3):
        assert_close(fn(x, x * 3), np.full(2, 2, np.float32))
    for wrong in ((x, x.astype(">f4")), (x, x.astype(float)), (x, x[:, :2]), (x, x[:1]), (x,),
                  (x, x, x), (x, None), ([[1, 2, 3]], x, x)):  # fmt: skip
        with pytest.raises(lg.InputError):
            fn(*wrong)
    assert_close(fn(np.asfortranarray(x)[::-1], x * 3), np.full(2, 2, np.float32))


def test_threads_share_a_compiled_loss_while_its_plans_change(monkeypatch):
    """Plans are dropped, specialized and found to assume too much while others run them."""
    monkeypatch.setattr(plans, "_SPECIALIZE_AFTER", 7)
    monkeypatch.setattr(runner, "_MOST_PLANS", 2)
    monkeypatch.setattr(compiled_module, "_MOST_FAST_PATHS", 2)
    monkeypatch.setattr(session_cache, "_LARGE", 1)
    pair = dict.fromkeys(("pred", "label"), ("float64", ("N", "C")))
    fn = lg.compile(gluon.SigmoidBCELoss(), pair, grad=("pred",))
    wrong = []

    def work(seed):
        rng = np.random.default_rng(seed)
        for turn in range(60):
            pred = rng.normal(size=(1 + (turn + seed) % 4, 3))
            pred[0, 0] = np.inf if turn % 10 == seed else 0.0
            label = np.ones_like(pred)
            value, grads = fn(pred, label)
            slopes = -1 / (1 + np.exp(pred)) / 3
            if not np.allclose(value, np.log1p(np.exp(-pred)).mean(1)):
                wrong.append((seed, turn, "value"))
            if not np.allclose(grads["pred"], slopes):
                wrong.append((seed, turn, "gradient"))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    with np.errstate(over="ignore"):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert not fn._runner._sessions.finite


# --- plans ---------------------------------------------------------------------------------


def test_each_kind_of_call_has_its_plan(monkeypatch):
    pair = dict.fromkeys(("pred", "label"), ("float32", ("N", "C")))
    run = lg.compile(gluon.L2Loss(), pair)._runner
    sizes = {"N": 4, "C": 3}
    assert type(run.plan(sizes)) is plans.EnginePlan
    assert type(run.plan(sizes, in_place=True)) is plans.BufferPlan
    assert type(run.plan({"N": 4096, "C": 1000})) is plans.ShardedPlan
    assert type(run.plan(sizes, device=("cpu", 0))) is plans.DevicePlan
    assert run.plan(sizes) is run.plan(dict(sizes))  # made once
    half = dict.fromkeys(("pred", "label"), ("bfloat16", ("N", "C")))
    assert type(lg.compile(gluon.L2Loss(), half)._runner.plan(sizes)) is plans.BufferPlan


def test_few_plans_are_kept(compiled, monkeypatch):
    monkeypatch.setattr(runner, "_MOST_PLANS", 3)
    fn = lg.compile(gluon.SoftmaxCELoss(), TYPES)
    for samples in range(1, 9):
        assert fn(np.zeros((samples, 3), np.float32), np.zeros(samples, int)).shape == (samples,)
        assert len(fn._runner._plans) <= 3


def test_a_call_on_the_fast_path_checks_nothing_twice(compiled, monkeypatch):
    compiled(PRED, LABEL)
    monkeypatch.setattr(compiled._runner, "check", None)
    for _ in range(2):
        value, grads = compiled(PRED, LABEL)
    assert value.shape == (2,)
    assert grads["pred"].shape == PRED.shape


def test_auxiliary_outputs_take_the_fast_path(monkeypatch):
    def body(F, pred, label):
        return F.mean(F.square(pred - label), axis=1), {"error": pred - label}

    pair = dict.fromkeys(("pred", "label"), ("float32", ("N", 3)))
    fn = lg.compile(body, pair, grad=("pred",))
    (first, aux), _ = fn(PRED, PRED * 0)
    monkeypatch.setattr(fn._runner, "check", None)
    (value, again), grads = fn(PRED, PRED * 0)
    assert_close(value, first)
    assert_close(again["error"], aux["error"])
    assert_close(grads["pred"], PRED * 2 / 3)
