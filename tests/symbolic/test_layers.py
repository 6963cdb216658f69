"""Linear layers, convolutions, pooling and transforms: numpy's, derivatives, whole losses."""

from __future__ import annotations

import numpy as np
import pytest

import lossgraph as lg
from lossgraph.authoring.functions import FunctionLoss
from operator_laws import check_derivatives, check_opsets, check_values, parts, values
from support import assert_close

RNG = np.random.default_rng(8)


def normal(*shape):
    return RNG.normal(size=shape)


LINE, IMAGE = normal(2, 4, 9), normal(2, 4, 6, 7)
CASES = {
    "linear": (
        lambda F, x, w, b: F.FullyConnected(x, w, b, num_hidden=3),
        {"x": IMAGE[:, :2, :2, 0].copy(), "w": normal(3, 4), "b": normal(3)},
    ),
    "linear of vectors": (
        lambda F, x, w: F.FullyConnected(x, w, no_bias=True, flatten=False),
        {"x": normal(2, 5, 4), "w": normal(3, 4)},
    ),
    "convolution": (
        lambda F, x, w, b: F.Convolution(x, w, b, kernel=(3,), num_filter=5),
        {"x": LINE, "w": normal(5, 4, 3), "b": normal(5)},
    ),
    "strides": (
        lambda F, x, w: F.Convolution(
            x, w, kernel=(3, 2), stride=(2, 3), pad=(1, 0), num_filter=3, no_bias=True
        ),
        {"x": IMAGE, "w": normal(3, 4, 3, 2)},
    ),
    "groups": (
        lambda F, x, w: F.Convolution(x, w, pad=1, num_group=2, no_bias=True),
        {"x": IMAGE, "w": normal(6, 2, 3, 3)},
    ),
    "depthwise": (
        lambda F, x, w: F.Convolution(x, w, dilate=(2, 1), num_group=4, no_bias=True),
        {"x": IMAGE, "w": normal(4, 1, 2, 3)},
    ),
    "three dimensions": (
        lambda F, x, w: F.Convolution(x, w, stride=2, pad=1, no_bias=True),
        {"x": normal(1, 2, 4, 3, 5), "w": normal(2, 2, 2, 3, 2)},
    ),
    "transposed": (
        lambda F, x, w, b: F.Deconvolution(
            x,
            w,
            b,
            kernel=(3,),
            stride=(2,),
            pad=(1,),
            adj=(1,),
            num_filter=6,
            num_group=2,
            no_bias=False,
        ),
        {"x": LINE, "w": normal(4, 3, 3), "b": normal(6)},
    ),
    "transposed images": (
        lambda F, x, w: F.Deconvolution(x, w, stride=(1, 2), dilate=(2, 1)),
        {"x": IMAGE, "w": normal(4, 2, 2, 3)},
    ),
    "max": (lambda F, x: F.Pooling(x, kernel=(2, 2), stride=(2, 2)), {"x": IMAGE}),
    "max, full": (
        lambda F, x: F.Pooling(
            x, kernel=(3, 3), stride=(2, 2), pad=(1, 1), pooling_convention="full"
        ),
        {"x": IMAGE},
    ),
    "average": (
        lambda F, x: F.Pooling(x, kernel=(3, 2), pool_type="avg", pad=(1, 1), stride=(2, 1)),
        {"x": IMAGE},
    ),
    "average of what is there": (
        lambda F, x: F.Pooling(
            x, kernel=3, pool_type="avg", pad=1, stride=2, count_include_pad=False
        ),
        {"x": IMAGE},
    ),
    "average, full": (
        lambda F, x: F.Pooling(
            x, kernel=(3,), pool_type="avg", pad=(1,), stride=(2,), pooling_convention="full"
        ),
        {"x": LINE[..., :8].copy()},
    ),
    "sum": (lambda F, x: F.Pooling(x, kernel=(5,), pool_type="sum"), {"x": LINE}),
    "norm": (lambda F, x: F.Pooling(x, kernel=(2,), pool_type="lp", p_value=2), {"x": LINE}),
    "of all": (
        lambda F, x: [
            F.Pooling(x, global_pool=True, pool_type=kind, p_value=2)
            for kind in ("max", "avg", "sum", "lp")
        ],
        {"x": IMAGE},
    ),
    "frames": (lambda F, x: [F.frame(x, 4, 3), F.frame(x, 3, 5), F.frame(x, 9, 1)], {"x": LINE}),
}
SPECTRAL = {  # of lengths that are known
    "rfft": (lambda F, x: F.rfft(x) + F.rfft(x, n=6) + F.rfft(x, n=12), {"x": LINE}),
    "irfft": (
        lambda F, x, y: [F.irfft(x, y), F.irfft(x, y, n=7), F.irfft(x, y, n=5)],
        {"x": normal(2, 4), "y": normal(2, 4)},
    ),
    "irfft, broadcast": (
        lambda F, x, y: [F.irfft(x, y), F.irfft(y, x), F.irfft(y[:, :1], x[0], n=5)],
        {"x": normal(2, 4), "y": normal(1, 1)},
    ),
    "there and back": (lambda F, x: F.irfft(*F.rfft(x), n=9), {"x": LINE}),
    "fft": (lambda F, x: F.contrib.ifft(F.contrib.fft(x)) + F.contrib.fft(x)[:, :, :9],
            {"x": LINE}),
    "stft": (
        lambda F, x: F.stft(x, 4, hop_length=2, window=F.array([0.0, 0.5, 1.0, 0.5]))
        + F.stft(x, 6, win_length=3, center=False, normalized=True)
        + F.stft(x, 4, pad_mode="edge"),
        {"x": LINE[0]},
    ),
}  # fmt: skip
SUMS = {"float64": (1e-12, 1e-12), "float32": (1e-5, 2e-5)}  # of some dozens of terms


@pytest.mark.parametrize("name", CASES)
def test_layers_agree_with_numpy(name):
    body, arrays = CASES[name]
    names = (False,) if "w" in arrays else (False, True)  # the kernel's lengths are known
    check_values(body, arrays, tolerance=SUMS, named=names)


@pytest.mark.parametrize("name", SPECTRAL)
def test_transforms_agree_with_numpy(name):
    check_values(*SPECTRAL[name], tolerance=SUMS, named=(False,))


@pytest.mark.parametrize("name", [*CASES, *SPECTRAL])
def test_layers_have_right_derivatives(name):
    body, arrays = {**CASES, **SPECTRAL}[name]
    check_derivatives(body, arrays, scale=10)


@pytest.mark.parametrize("name", ["strides", "groups", "transposed", "average", "max", "stft"])
def test_layers_in_every_opset(name):
    check_opsets(*{**CASES, **SPECTRAL}[name])


def test_signals_have_lengths_by_name():
    body = CASES["strides"][0]
    x, w = lg.symbol("x", "float32", ("N", 4, "H", "W")), lg.symbol("w", "float32", (3, 4, 3, 2))
    value = body(lg.symbolic, x, w)
    run = lg.compile((value, lg.grad(lg.symbolic.sum(value * value), x)))
    for height, width in ((6, 7), (5, 9)):
        arrays = {"x": normal(2, 4, height, width).astype("f"), "w": CASES["strides"][1]["w"]}
        arrays["w"] = arrays["w"].astype("f")
        found, slopes = run(**arrays)
        (expected,) = values(body, arrays)
        assert_close(found, expected, tolerance=SUMS["float32"])
        assert slopes.shape == arrays["x"].shape


def test_constants_have_the_digits_of_what_they_meet():
    x, third = np.eye(3)[None], 1 / 3
    for body in (
        lambda F, x: F.FullyConnected(x, F.array([[third] * 3]), F.array([0.0]), flatten=False),
        lambda F, x: F.Convolution(x, F.array([[[third]] * 3]), F.array([0.0])),
        lambda F, x: F.FullyConnected(x * 0, F.ones((1, 3)), F.array([third]), flatten=False),
        lambda F, x: F.stft(x, 3, 3, window=[third] * 3, center=False)[0],
        lambda F, x: F.LeakyReLU(-x, F.array([third]), act_type="prelu") * -1,
    ):
        found = FunctionLoss(body)(x)
        kept = found[found > 0]
        assert_close(kept, np.full(len(kept), third), tolerance=(1e-15, 0))


def test_the_maximum_is_shared_and_nan_is_kept():
    x = np.array([[[1.0, 1.0, 0.0, np.nan, 2.0]]])
    body = lambda F, x: F.Pooling(x, kernel=(2,), stride=(1,))  # noqa: E731
    value, gradient = FunctionLoss(body).value_and_grad(x)
    assert_close(value, np.array([[[1.0, 1.0, np.nan, np.nan]]]))
    assert_close(gradient["x"][0, 0, :2], np.array([0.5, 1.5]))


# What MXNet 1.9.1 computes of [1, -2, 3, 4, -5].
RECORDED = [
    ({"pool_type": "lp", "p_value": 1, "kernel": (2,)}, [-1, 1, 7, -1]),
    ({"pool_type": "avg", "kernel": (2,), "stride": (2,), "pooling_convention": "full"},
     [-0.5, 3.5, -5.0]),
    ({"pool_type": "avg", "kernel": (3,), "pad": (1,)}, [-1 / 3, 2 / 3, 5 / 3, 2 / 3, -1 / 3]),
    ({"pool_type": "avg", "kernel": (3,), "pad": (1,), "count_include_pad": False},
     [-0.5, 2 / 3, 5 / 3, 2 / 3, -0.5]),
    ({"pool_type": "avg", "kernel": (3,), "stride": (3,), "pad": (1,),
      "pooling_convention": "full"}, [-1 / 3, 2 / 3, 0.0]),
    ({"pool_type": "max", "kernel": (2,), "stride": (2,), "pooling_convention": "full"},
     [1, 4, -5]),
    ({"pool_type": "sum", "kernel": (2,), "stride": (2,), "pad": (1,)}, [1, 1, -1]),
    ({"pool_type": "max", "kernel": (1,), "global_pool": True}, [4]),
]  # fmt: skip


@pytest.mark.parametrize(("options", "expected"), RECORDED)
def test_pooling_as_mxnet_does(options, expected):
    x = np.array([[[1.0, -2, 3, 4, -5]]])
    assert_close(
        FunctionLoss(lambda F, x: F.Pooling(x, **options))(x), np.array([[expected]], float)
    )


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (lambda F, x: F.Convolution(x, F.ones((3, 4, 2)), no_bias=True), "weights of their rank"),
        (lambda F, x: F.Convolution(x, F.ones((3, 4, 2, 2))), "bias is missing"),
        (lambda F, x: F.Convolution(x, F.ones((3, 3, 2, 2)), no_bias=True), "Convolution"),
        (lambda F, x: F.Convolution(x, F.ones((3, 4, 9, 2)), no_bias=True), "does not fit"),
        (lambda F, x: F.Convolution(x, F.ones((3, 4, 2, 2)), no_bias=True, kernel=3), "kernel 3"),
        (
            lambda F, x: F.Convolution(x, F.ones((3, 4, 2, 2)), no_bias=True, layout="NHWC"),
            "channels are second",
        ),
        (lambda F, x: F.Pooling(x), "kernel is missing"),
        (lambda F, x: F.Pooling(x, kernel=(2, 2), pad=(2, 2)), "pad 2"),
        (lambda F, x: F.Pooling(x, kernel=2, pool_type="min"), "expected one of"),
        (lambda F, x: F.FullyConnected(x, F.ones((3, 5)), no_bias=True), "Gemm"),
        (lambda F, x: F.FullyConnected(x, F.ones((3, 5)), no_bias=True, num_hidden=4), "are for 3"),
        (lambda F, x: F.frame(x, 9, 1), "does not fit"),
        (lambda F, x: F.rfft(x[:, :, :, :0]), "expected 1 or more"),
        (lambda F, x: F.stft(x, 4, window=[1.0, 2.0]), "needs as many weights"),
    ],
)
def test_mistakes_in_layers_are_explained(body, says):
    with pytest.raises(lg.InputError, match=says):
        FunctionLoss(body).program({"x": ("float32", (2, 4, 6, 7))})


# --- losses that need them ----------------------------------------------------------------------


def ssim(F, x, y):
    """One minus the structural similarity of images, with a Gaussian window of 5 x 5 places."""
    channels = x.shape[1]
    at = np.arange(5) - 2
    line = np.exp(-(at**2) / 4.5)
    kernel = np.outer(line, line) / np.outer(line, line).sum()
    window = F.array(np.tile(kernel, (channels, 1, 1, 1)), dtype=x.dtype)

    def blur(image):
        return F.Convolution(image, window, num_group=channels, no_bias=True)

    mx, my = blur(x), blur(y)
    vx, vy, vxy = blur(x * x) - mx * mx, blur(y * y) - my * my, blur(x * y) - mx * my
    near = (2 * mx * my + 1e-4) * (2 * vxy + 9e-4)
    return 1 - F.mean(near / ((mx * mx + my * my + 1e-4) * (vx + vy + 9e-4)), axis=(1, 2, 3))


def perceptual(F, x, y):
    """The distance of features behind two layers whose weights are fixed."""
    first, second = (np.cos(np.arange(n).reshape(shape)) for n, shape in (
        (4 * 3 * 9, (4, 3, 3, 3)), (2 * 4 * 9, (2, 4, 3, 3))))  # fmt: skip

    def features(image):
        hidden = F.relu(
            F.Convolution(image, F.array(first, dtype=x.dtype), pad=(1, 1), no_bias=True)
        )
        hidden = F.Pooling(hidden, kernel=(2, 2), stride=(2, 2))
        return F.Convolution(hidden, F.array(second, dtype=x.dtype), pad=(1, 1), no_bias=True)

    return F.mean(F.square(features(x) - features(y)), axis=0, exclude=True)


def spectral(F, x, y):
    """The distance of log-magnitudes of short-time transforms."""

    def magnitude(signal):
        real, imag = F.stft(signal, 8, hop_length=4, window=F.array(np.hanning(8), dtype=x.dtype))
        return F.log(F.square(real) + F.square(imag) + 1e-5)

    return F.mean(F.abs(magnitude(x) - magnitude(y)), axis=(1, 2))


LOSSES = {
    "ssim": (ssim, (2, 3, 9, 8)),
    "perceptual": (perceptual, (2, 3, 8, 6)),
    "spectral": (spectral, (2, 32)),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_of_images_and_signals(name):
    body, shape = LOSSES[name]
    arrays = {"x": RNG.uniform(0, 1, shape), "y": RNG.uniform(0, 1, shape)}
    check_values(body, arrays, tolerance={"float64": (1e-10, 1e-11), "float32": (2e-4, 2e-5)},
                 named=(False,))  # fmt: skip
    check_derivatives(body, arrays, orders=(1,), scale=10)
    same = FunctionLoss(body)(arrays["x"], arrays["x"])
    assert_close(same, np.zeros(2), tolerance=(0, 1e-12))


@pytest.mark.parametrize(
    "name", [name for name, (_, arrays) in CASES.items() if len(arrays["x"]) == 2]
)
@pytest.mark.parametrize("rows", [0, 1])
def test_layers_of_no_sample_and_of_one(name, rows):
    body, arrays = CASES[name]
    given = {**arrays, "x": arrays["x"][:rows]}
    check_values(body, given, tolerance=SUMS, named=(False,))
    inputs = {n: lg.symbol(n, "float64", a.shape) for n, a in given.items()}
    results = parts(body(lg.symbolic, **inputs))
    total = sum((lg.symbolic.sum(result * result) for result in results), 0.0)
    gradient = lg.grad(total, inputs["x"])
    assert lg.compile((total, gradient))(**given)[1].shape == given["x"].shape
