"""Parameters fitted to tables: equal to SciPy on whole arrays, however tables are cut."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax

import lossgraph as lg
from lossgraph import nn
from lossgraph.compiler.rows import CoupledRowsError
from lossgraph.tables import fit

RNG = np.random.default_rng(5)
ROWS = 3000
LOGITS = RNG.normal(size=(ROWS, 4)).astype(np.float32) * 3
LABELS = np.array([RNG.choice(4, p=np.exp(log_softmax(z / 2.5))) for z in LOGITS.astype(float)])
WEIGHTS = RNG.integers(0, 3, ROWS).astype(np.float64)
TABLE = pa.table(
    {
        "scores": pa.FixedSizeListArray.from_arrays(LOGITS.ravel(), 4),
        "y": LABELS,
        "w": WEIGHTS,
        "half": np.arange(ROWS) % 2,
    }
)
COLUMNS = {"logits": "scores", "label": "y"}


def tempered(F, logits, label, temperature):
    return -F.pick(F.log_softmax(logits / temperature), label)


def shifted(F, logits, label, temperature, shift):
    return F.mean(-F.pick(F.log_softmax(logits / temperature + shift), label))


def losses_at(temperature, shift=0.0):
    log_probs = log_softmax(LOGITS.astype(np.float64) / temperature + shift, 1)
    return -log_probs[np.arange(ROWS), LABELS]


def least(weights=None):
    """The best temperature by another method: of a bracket, without gradients."""
    weights = np.ones(ROWS) if weights is None else weights
    found = minimize_scalar(
        lambda t: (losses_at(t) * weights).sum() / weights.sum(),
        bracket=(1.0, 5.0),
        options={"xtol": 1e-9},
    )
    return found.x, found.fun


def test_a_temperature():
    found = fit(tempered, TABLE, COLUMNS, {"temperature": 1.0})
    expected, mean = least()
    assert found.converged
    assert abs(found.parameters["temperature"] - expected) < 1e-6
    assert found.mean == pytest.approx(mean, rel=1e-12)
    assert found.first_mean == pytest.approx(losses_at(1.0).mean(), rel=1e-12)
    assert abs(found.gradients["temperature"]) < 1e-7
    assert found.rows == ROWS
    assert f"of {ROWS} rows" in str(found)


def test_weights_of_rows():
    found = fit(tempered, TABLE, COLUMNS, {"temperature": 1.0}, weights="w")
    assert abs(found.parameters["temperature"] - least(WEIGHTS)[0]) < 1e-6


def test_rows_that_are_left_out():
    found = fit(tempered, TABLE, COLUMNS, {"temperature": 1.0}, where="half == 1")
    assert abs(found.parameters["temperature"] - least(np.arange(ROWS) % 2.0)[0]) < 1e-6
    assert found.rows == ROWS // 2


def test_arrays_are_fitted_as_scipy_does_on_the_whole():
    start = {"temperature": 1.0, "shift": np.zeros(4)}
    bounds = {"temperature": (0.1, 2.0), "shift": (None, 0.05)}
    found = fit(shifted, TABLE, COLUMNS, start, bounds=bounds)
    limits = [(0.1, 2.0)] + [(None, 0.05)] * 4

    def whole(x):
        return losses_at(x[0], x[1:]).mean()

    expected = minimize(whole, [1.0, 0, 0, 0, 0], method="L-BFGS-B", bounds=limits,
                        options={"ftol": 1e-15, "gtol": 1e-9, "maxfun": 10**5})  # fmt: skip
    assert found.parameters["temperature"] == 2.0  # at its bound, where the gradient is not 0
    assert found.gradients["temperature"] < -1e-4
    assert found.mean == pytest.approx(expected.fun, rel=1e-9)
    shift = found.parameters["shift"]
    np.testing.assert_allclose(
        shift - shift.mean(), expected.x[1:] - expected.x[1:].mean(), atol=1e-3
    )
    assert found.first_mean == pytest.approx(whole([1.0, 0, 0, 0, 0]), rel=1e-12)


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_threads_and_files(tmp_path, threads):
    """To the bit for one cut; for another, to rounding."""
    for i in range(5):
        pq.write_table(TABLE.slice(i * 600, 600), tmp_path / f"{i}.parquet", row_group_size=250)
    found = fit(tempered, str(tmp_path / "*.parquet"), COLUMNS, {"temperature": 1.0},
                threads=threads)  # fmt: skip
    again = fit(tempered, str(tmp_path / "*.parquet"), COLUMNS, {"temperature": 1.0}, threads=1)
    assert found == again
    whole = fit(tempered, TABLE, COLUMNS, {"temperature": 1.0})
    assert found.parameters["temperature"] == pytest.approx(
        whole.parameters["temperature"], abs=1e-9
    )


def test_losses_of_the_catalogue_and_means():
    """A mean over elements, some of which are ignored, as a location is fitted."""
    table = pa.table({"y": RNG.normal(3.0, 2.0, 500)})

    def located(F, target, center):
        return F.mean(F.square(target - center))

    found = fit(located, table, {"target": "y"}, {"center": 0.0})
    assert found.parameters["center"] == pytest.approx(np.mean(table["y"].to_numpy()), abs=1e-7)


def test_float32_where_it_is_asked_for():
    found = fit(tempered, TABLE, COLUMNS, {"temperature": 1.0}, dtype="float32", tolerance=1e-5)
    assert abs(found.parameters["temperature"] - least()[0]) < 1e-3


def test_labels_that_are_ignored():
    """What rows are divided by is no part of the descent: half of the rows have no loss."""

    def ignoring(F, logits, label, temperature):
        return nn.CrossEntropyLoss(ignore_index=3)(logits / temperature, label)

    found = fit(ignoring, TABLE, COLUMNS, {"temperature": 1.0})
    assert abs(found.parameters["temperature"] - least((LABELS != 3).astype(float))[0]) < 1e-6


REFUSED = [
    ({"parameters": {}}, "expected what is fitted"),
    ({"parameters": {"temperature": "warm"}}, "no finite number"),
    ({"parameters": {"temperature": np.nan}}, "no finite number"),
    ({"parameters": {"temperature": 0.0}}, "at the first parameters the mean loss is nan"),
    ({"bounds": {"temperatur": (0, 1)}}, "'temperatur' is not fitted"),
    ({"bounds": {"temperature": (2, 1)}}, "expected the least, then the largest"),
    ({"bounds": {"temperature": (2, 3)}}, "begins at 1.0, outside"),
    ({"columns": {"logits": "scores"}}, "label"),
    ({"where": "half == 7"}, "no rows to fit"),
]


@pytest.mark.parametrize(
    ("changed", "message"), REFUSED, ids=lambda x: x if isinstance(x, str) else ""
)
def test_what_is_refused(changed, message):
    given = {"columns": COLUMNS, "parameters": {"temperature": 1.0}, **changed}
    with pytest.raises(lg.InputError, match=message):
        fit(tempered, TABLE, **given)


def test_a_loss_that_couples_rows():
    def spread(F, target, center):
        return F.sqrt(F.mean(F.square(target - center)))

    with pytest.raises(CoupledRowsError):
        fit(spread, pa.table({"y": [1.0, 2.0]}), {"target": "y"}, {"center": 0.0})


def test_steps_may_run_out():
    found = fit(tempered, TABLE, COLUMNS, {"temperature": 1.0}, most_steps=1)
    assert not found.converged
    assert "did not converge" in str(found)
    assert found.mean < found.first_mean
