"""Large results in the memory of those that nobody has any more."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import lossgraph as lg
from lossgraph import gluon
from lossgraph.runtime.buffer_pool import BufferPool

LARGE = (600, 600)
F8 = np.dtype(np.float64)


def address(array):
    return array.__array_interface__["data"][0]


def test_what_nobody_has_is_given_again():
    pool = BufferPool()
    first = pool.acquire("x", LARGE, F8)
    second = pool.acquire("x", LARGE, F8)
    assert address(first) != address(second)
    place = address(first)
    del first
    assert address(pool.acquire("x", LARGE, F8)) == place


@pytest.mark.parametrize(
    "holder", [lambda a: a[1:2, 3], lambda a: a.reshape(-1).view("i8"), memoryview,
               lambda a: {"deep": [a.T]}, np.from_dlpack],
)  # fmt: skip
def test_what_is_referred_to_is_left_alone(holder):
    pool = BufferPool()
    array = pool.acquire("x", LARGE, F8)
    array[...] = 7
    held = holder(array)
    del array
    for _ in range(5):
        pool.acquire("x", LARGE, F8)[...] = 0
    last = held["deep"][0] if isinstance(held, dict) else held
    assert np.asarray(last).reshape(-1).view("f8")[0] == 7


def test_kinds_shapes_and_dtypes_are_kept_apart():
    pool = BufferPool()
    assert pool.acquire("x", LARGE, F8).shape == LARGE
    for kind, shape, dtype in (
        ("y", LARGE, F8),
        ("x", (300, 1200), F8),
        ("x", LARGE, np.dtype("f4")),
    ):
        array = pool.acquire(kind, shape, dtype)
        assert (array.shape, array.dtype) == (shape, dtype)


def test_no_more_than_two_are_kept():
    pool = BufferPool()
    arrays = [pool.acquire("x", LARGE, F8) for _ in range(10)]
    assert len({address(a) for a in arrays}) == 10
    assert len(pool._kept["x"]) == 2


def test_results_of_a_loss_stay_what_they_were():
    fn = lg.compile(
        gluon.L2Loss(), dict.fromkeys(("pred", "label"), ("float32", ("N", "C"))), grad=("pred",)
    )
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 2048, 512)).astype(np.float32)
    results = [fn(x * i, y)[1]["pred"] for i in range(5)]
    for i, grad in enumerate(results):
        np.testing.assert_allclose(grad, (x * i - y) / 512, rtol=1e-5, atol=1e-7)


def test_threads_do_not_share_results():
    fn = lg.compile(
        gluon.L2Loss(), dict.fromkeys(("pred", "label"), ("float32", ("N", "C"))), grad=("pred",)
    )
    x = np.ones((2048, 512), np.float32)
    wrong = []

    def work(number):
        for _ in range(20):
            _, grads = fn(x * number, x)
            if not (grads["pred"] == np.float32(number - 1) / 512).all():
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
