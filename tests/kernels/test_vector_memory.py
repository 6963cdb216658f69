"""The kernels' loads, stores and reductions against numpy, beside a page that cannot be touched."""

import ctypes
import functools
import mmap

import numpy as np
import pytest

from vector_library import CC, INTEGERS, REALS, build, levels, pointer, transfers, width

pytestmark = pytest.mark.skipif(CC is None, reason="no C compiler on this machine")

LEVELS = levels() if CC else ("none",)
BITS = (32, 64)
STORED = {
    "f32": "float32", "f64": "float64", "f16": "float16", "bf16": "uint16", "i64": "int64",
    "i32": "int32", "i16": "int16", "i8": "int8", "u64": "uint64", "u32": "uint32",
    "u16": "uint16", "u8": "uint8", "bool": "uint8",
}  # fmt: skip
LOADS = [
    (name, kind) for name in REALS | INTEGERS for kind in ("", "i") if name in INTEGERS or not kind
]
STORES = [(name, "") for name in REALS] + [(name, "i") for name in INTEGERS]

ACROSS = """
void across_{bits}(const R *x, double *r) {{
  V v = LOAD(x);
  M m = v > lg_splat(0);
  r[0] = lg_sum(v); r[1] = lg_dsum(v); r[2] = lg_max_of(v); r[3] = lg_min_of(v);
  r[4] = lg_any(m); r[5] = lg_all(m); r[6] = lg_first(v); r[7] = (double)lg_ifirst(m);
}}
void clip_{bits}(const R *x, R low, R high, R *r) {{
  STORE(r, lg_clip(LOAD(x), low, high));
}}
void to_int_{bits}(const R *x, LG_INTEGER *r) {{ lg_istore_i{bits}(r, lg_to_int(LOAD(x))); }}
void lanes_of_{bits}(const R *x, const LG_INTEGER *m, R *r, LG_INTEGER *s) {{
  M k = lg_iload_i{bits}(m);
  STORE(r, lg_to_real(lg_iota()));
  V v = LOAD(x);
  STORE(r + LG_LANES, lg_where(lg_isnan(v), lg_splat(3), lg_fma(v, v, lg_splat(1))));
  STORE(r + 2 * LG_LANES, lg_of_mask(k));
  lg_istore_i{bits}(s, lg_iwhere(k, lg_iota(), lg_isplat(-7)));
}}
"""


@functools.cache
def library(march):
    text = "".join(transfers(bits) + width(bits) + ACROSS.format(bits=bits) for bits in BITS)
    return build(text, march, "-O1")


def _lanes(march, bits):
    return getattr(library(march), f"lanes_{bits}")()


def _fenced(size):
    """``size`` bytes that end where a page begins that can be neither read nor written."""
    page = mmap.PAGESIZE
    whole = -(-size // page) * page
    block = mmap.mmap(-1, whole + page)
    start = ctypes.addressof(ctypes.c_char.from_buffer(block))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mprotect(ctypes.c_void_p(start + whole), ctypes.c_size_t(page), 0):
        pytest.skip("pages cannot be protected here")
    return np.frombuffer(block, np.uint8)[whole - size : whole]


def _placed(values):
    """An array at the end of the readable memory."""
    fenced = _fenced(max(values.nbytes, 1))[: values.nbytes].view(values.dtype)
    fenced[:] = values
    return fenced


def _numbers(name, count, bits=64):
    """Numbers as stored: also the largest, the smallest and what is none."""
    rng, dtype = np.random.default_rng(count), np.dtype(STORED[name])
    if name == "bool":
        return rng.integers(0, 2, count).astype(np.uint8)
    if name in INTEGERS:
        info = np.iinfo(dtype)
        ends = np.array([info.max, info.min, info.max // 2, 1], dtype)
        return rng.permutation(
            np.concatenate([ends, rng.integers(0, 100, count).astype(dtype)])[:count]
        )
    if name == "bf16":
        return rng.integers(0, 1 << 16, count).astype(np.uint16)
    values = rng.normal(size=count) * 10.0 ** rng.integers(-4, 4, count)
    values[: min(count, 3)] = [np.nan, -np.inf, -0.0][: min(count, 3)]
    return rng.permutation(values).astype(dtype)


def _loaded(name, kind, stored, bits):
    """What lanes must hold."""
    lane = np.dtype(f"{'int' if kind else 'float'}{bits}")
    if name == "bool":
        return -(stored != 0).astype(lane) if kind else (stored != 0).astype(lane)
    if name == "bf16":
        with np.errstate(invalid="ignore"):  # signalling NaN
            return (stored.astype(np.uint32) << 16).view(np.float32).astype(lane)
    if kind:
        info = np.iinfo(lane)
        return np.array([min(max(int(v), info.min), info.max) for v in stored], lane)
    with np.errstate(over="ignore"):
        return stored.astype(lane)


@pytest.mark.parametrize("march", LEVELS)
@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize(("name", "kind"), LOADS)
def test_loads(name, kind, bits, march):
    lanes, lib = _lanes(march, bits), library(march)
    lane = np.dtype(f"{'int' if kind else 'float'}{bits}")
    result = np.empty(lanes, lane)

    def load(way, *arguments):
        result[:] = 77
        getattr(lib, f"{kind}{way}_{name}_{bits}")(*arguments, pointer(result))
        return result

    stored = _placed(_numbers(name, lanes))
    np.testing.assert_array_equal(load("load", pointer(stored)), _loaded(name, kind, stored, bits))
    for n in range(lanes + 1):
        expected = np.zeros(lanes, lane)
        stored = _placed(_numbers(name, n))
        expected[:n] = _loaded(name, kind, stored, bits)
        np.testing.assert_array_equal(load("load_part", pointer(stored), n), expected)
        for stride in (1, 3, -2):
            stored = _placed(_numbers(name, max(n * abs(stride) - abs(stride) + 1, 1)))
            lattice = stored[::stride] if n else stored[:0]
            expected[:n] = _loaded(name, kind, lattice[:n], bits)
            start = stored[-1:] if stride < 0 else stored
            got = load("load_strided", pointer(start), ctypes.c_int64(stride), n)
            np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("march", LEVELS)
@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize(("name", "kind"), LOADS)
def test_gathers(name, kind, bits, march):
    lanes, rng = _lanes(march, bits), np.random.default_rng(3)
    integer, lane = np.dtype(f"int{bits}"), np.dtype(f"{'int' if kind else 'float'}{bits}")
    stored = _placed(_numbers(name, 23))
    index, mask = (
        rng.integers(0, 23, lanes).astype(integer),
        -rng.integers(0, 2, lanes).astype(integer),
    )
    index[mask == 0] = 1 << 29  # not read
    expected = np.zeros(lanes, lane)
    expected[mask != 0] = _loaded(name, kind, stored[index[mask != 0]], bits)
    result = np.empty(lanes, lane)
    getattr(library(march), f"{kind}gather_{name}_{bits}")(
        *map(pointer, (stored, index, mask, result))
    )
    np.testing.assert_array_equal(result, expected)


def _halfway(dtype, bits):
    """Numbers beside and at halfway points, beyond the ends and among the subnormals."""
    exponents, digits = (range(-27, 18), 10) if dtype == "f16" else (range(-136, 128), 7)
    steps = (
        np.array(
            [
                0,
                1,
                0.5,
                1.5,
                2.5,
                3.5,
                0.49,
                0.51,
                2.0**digits - 0.5,
                2.0**digits - 0.51,
                2.0**digits - 1,
            ]
        )
        / 2.0**digits
    )
    values = np.concatenate([np.ldexp(1 + steps, e) for e in exponents])
    tiny = np.ldexp(1.0, -24 if dtype == "f16" else -133) * np.array(
        [0, 0.25, 0.5, 0.5000001, 0.75, 1, 1.5, 2.5, 3]
    )
    # beside a halfway point by less than float32 shows: rounding twice would be wrong
    beside = [
        np.ldexp((1 + 0.5 / 2.0**digits) * (1 + s * 2.0**-40), e)
        for e in (-20, 0, 5)
        for s in (-1, 1)
    ]
    ends = [65519.99, 65520, 65504, 1e30, 3.4e38, np.inf, 3.3961e38, 3.3895313892515355e38]
    all_ = np.concatenate([values, tiny, beside, ends])
    with np.errstate(over="ignore"):
        return np.concatenate([all_, -all_]).astype(f"float{bits}")


def _rounded(values, digits, least, most):
    """To so many digits, to nearest even, by numpy's rint of exact quotients."""
    values = values.astype(np.float64)
    exponent = np.maximum(np.frexp(values)[1] - 1, least)
    with np.errstate(invalid="ignore", over="ignore"):
        r = np.ldexp(np.rint(np.ldexp(values, digits - exponent)), exponent - digits)
        return np.where(np.abs(r) > most, np.copysign(np.inf, r), r)


@pytest.mark.parametrize("march", LEVELS)
@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("name", ["f16", "bf16"])
def test_narrow_stores_round_to_nearest_even(name, bits, march):
    lanes = _lanes(march, bits)
    values = np.concatenate([_halfway(name, bits), np.full(16, np.nan, f"float{bits}")])
    values = values[: values.size // lanes * lanes]
    got = np.empty(values.size, np.uint16)
    store = getattr(library(march), f"store_{name}_{bits}")
    for i in range(0, values.size, lanes):
        store(pointer(got[i:]), pointer(values[i:]))
    if name == "f16":
        wide = got.view(np.float16).astype(np.float64)
        expected = _rounded(values, 10, -14, 65504)
    else:
        wide = (got.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
        expected = _rounded(values, 7, -126, 3.3895313892515355e38)
    np.testing.assert_array_equal(wide, expected)
    known = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(wide)[known], np.signbit(expected)[known])


@pytest.mark.parametrize("march", LEVELS)
@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("name", ["f16", "bf16"])
def test_all_narrow_numbers_widen_exactly_and_come_back(name, bits, march):
    lanes, lib = _lanes(march, bits), library(march)
    stored = np.arange(1 << 16, dtype=np.uint16)
    wide, back = np.empty(1 << 16, f"float{bits}"), np.empty(1 << 16, np.uint16)
    load, store = getattr(lib, f"load_{name}_{bits}"), getattr(lib, f"store_{name}_{bits}")
    for i in range(0, 1 << 16, 64):  # some of all exponents
        for j in range(i, min(i + 16, 1 << 16), lanes):
            load(pointer(stored[j:]), pointer(wide[j:]))
            store(pointer(back[j:]), pointer(wide[j:]))
    seen = np.arange(1 << 16) % 64 < 16
    expected = (
        stored.view(np.float16).astype(wide.dtype)
        if name == "f16"
        else _loaded(name, "", stored, bits)
    )
    np.testing.assert_array_equal(wide[seen], expected[seen])
    numbers = seen & ~np.isnan(expected)
    np.testing.assert_array_equal(back[numbers], stored[numbers])


@pytest.mark.parametrize("march", LEVELS)
@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize(("name", "kind"), STORES)
def test_stores(name, kind, bits, march):
    lanes, lib = _lanes(march, bits), library(march)
    dtype, lane = np.dtype(STORED[name]), np.dtype(f"{'int' if kind else 'float'}{bits}")
    rng = np.random.default_rng(2)
    x = (
        rng.integers(-300, 300, lanes).astype(lane)
        if kind
        else rng.integers(-8, 8, lanes).astype(lane) / 4
    )
    if name == "bool":
        x = -(x > 0).astype(lane)
        narrow = (x != 0).astype(np.uint8)
    elif name == "bf16":
        narrow = (x.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
    else:
        narrow = x.astype(dtype)  # integers wrap
    filler = np.array(99).astype(dtype)

    def store(way, size, start, *arguments):
        target = _placed(np.full(size, filler))
        getattr(lib, f"{kind}{way}_{name}_{bits}")(pointer(target[start:]), *arguments)
        return target

    np.testing.assert_array_equal(store("store", lanes, 0, pointer(x)), narrow)
    for n in range(lanes + 1):
        got = store("store_part", max(n, 1), 0, pointer(x), n)
        np.testing.assert_array_equal(got[:n], narrow[:n])
        for stride in (1, 3, -2):
            size = max(n * abs(stride) - abs(stride) + 1, 1)
            got = store(
                "store_strided",
                size,
                size - 1 if stride < 0 else 0,
                ctypes.c_int64(stride),
                pointer(x),
                n,
            )
            expected = np.full(size, filler)
            if n:
                expected[::stride][:n] = narrow[:n]
            np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("march", LEVELS)
@pytest.mark.parametrize("bits", BITS)
def test_across_lanes(bits, march):
    lanes, across = _lanes(march, bits), getattr(library(march), f"across_{bits}")
    result, rng = np.empty(8), np.random.default_rng(1)
    for _ in range(4):
        x = rng.normal(size=lanes).astype(f"float{bits}")
        across(pointer(x), pointer(result))
        wide = x.astype(np.float64)
        assert abs(result[0] - wide.sum()) < (1e-5 if bits == 32 else 1e-14)
        assert abs(result[1] - wide.sum()) < 1e-14
        assert result[2:].tolist() == [
            wide.max(),
            wide.min(),
            1,
            (x > 0).all(),
            wide[0],
            -float(x[0] > 0),
        ]
    for lane in range(lanes):
        with_nan = x.copy()
        with_nan[lane] = np.nan
        across(pointer(with_nan), pointer(result))
        assert np.isnan(result[:4]).all()
    across(pointer(np.abs(x) + 1), pointer(result))
    assert result[5] == 1
    across(pointer(-np.abs(x)), pointer(result))
    assert result[4:6].tolist() == [0, 0]
    infinite = np.full(lanes, -np.inf, x.dtype)
    across(pointer(infinite), pointer(result))
    assert result[2:4].tolist() == [-np.inf, -np.inf]


@pytest.mark.parametrize("march", LEVELS)
@pytest.mark.parametrize("bits", BITS)
def test_lanes(bits, march):
    lanes, lib = _lanes(march, bits), library(march)
    info = np.iinfo(f"int{bits}")
    real, integer = np.dtype(f"float{bits}"), np.dtype(f"int{bits}")
    edge = 2.0 ** (bits - 1)
    values = [
        np.nan,
        np.inf,
        -np.inf,
        1e30,
        -1e30,
        edge,
        -edge,
        1.9,
        -1.9,
        0.0,
        -0.0,
        1e9,
        -1e9,
        0.5,
        -0.5,
        np.nextafter(real.type(edge), real.type(0)),
    ]
    x, whole = np.array(values, real), np.empty(16, integer)
    for i in range(0, 16, lanes):
        getattr(lib, f"to_int_{bits}")(pointer(x[i:]), pointer(whole[i:]))
    expected = [
        0
        if v != v
        else int(min(max(v, -edge), edge))
        if abs(v) < np.inf
        else (info.max if v > 0 else info.min)
        for v in x
    ]
    assert whole.tolist() == [min(max(e, info.min), info.max) for e in expected]

    mask = -(np.arange(lanes) % 2).astype(integer)
    reals, integers = np.empty(3 * lanes, real), np.empty(lanes, integer)
    getattr(lib, f"lanes_of_{bits}")(*map(pointer, (x, mask, reals, integers)))
    first = np.arange(lanes)
    some = x[:lanes]
    np.testing.assert_array_equal(reals[:lanes], first)
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(
            reals[lanes : 2 * lanes], np.where(np.isnan(some), 3, some * some + 1), rtol=1e-6
        )
    np.testing.assert_array_equal(reals[2 * lanes :], -mask)
    np.testing.assert_array_equal(integers, np.where(mask, first, -7))


@pytest.mark.parametrize("march", LEVELS)
@pytest.mark.parametrize("bits", BITS)
def test_clip(bits, march):
    lanes, lib = _lanes(march, bits), library(march)
    c = {32: ctypes.c_float, 64: ctypes.c_double}[bits]
    x = np.array([np.nan, np.inf, -np.inf, 0, -0.0, 0.5, 3, -3] * 2, f"float{bits}")
    for low, high in ((-1, 2), (0, 0), (2, -1), (-np.inf, 1), (np.nan, 1)):
        got = np.empty_like(x)
        for i in range(0, 16, lanes):
            getattr(lib, f"clip_{bits}")(pointer(x[i:]), c(low), c(high), pointer(got[i:]))
        np.testing.assert_array_equal(got, np.clip(x, low, high))
