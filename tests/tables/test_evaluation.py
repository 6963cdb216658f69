"""Losses over tables, however they are cut: the numbers of NumPy, PyTorch and the loss itself."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import lossgraph as lg
from lossgraph import gluon, nn
from lossgraph.authoring.functions import as_loss
from lossgraph.compiler.rows import CoupledRowsError
from lossgraph.tables import local
from lossgraph.tables.collected import Collected, merged
from lossgraph.tables.plan import plan_of
from lossgraph.tables.sources import open_source

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

ROWS, CLASSES = 5000, 7
RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(ROWS, CLASSES)).astype("f")
LABELS = RNG.integers(0, CLASSES, ROWS)
COUNTRIES = np.array(["de", "fr", None, "nl"], object)[RNG.integers(0, 4, ROWS)]
WEIGHTS = RNG.uniform(0, 2, ROWS).round(2)
TABLE = pa.table(
    {
        "country": pa.array(COUNTRIES, pa.string()), "label": LABELS, "weight": WEIGHTS,
        "scores": pa.FixedSizeListArray.from_arrays(pa.array(LOGITS.ravel()), CLASSES),
        "others": pa.FixedSizeListArray.from_arrays(pa.array(LOGITS[:, ::-1].ravel()), CLASSES),
        **{f"logit_{i}": LOGITS[:, i] for i in range(CLASSES)},
    }
)  # fmt: skip
CE = gluon.SoftmaxCELoss()
COLUMNS = {"pred": "scores", "label": "label"}


def losses() -> np.ndarray:
    wide = LOGITS.astype(np.float64)
    return np.log(np.exp(wide).sum(1)) - wide[np.arange(ROWS), LABELS]


def tempered(F, pred, label, temperature):
    return -F.pick(F.log_softmax(pred / temperature), label)


@pytest.fixture(scope="module")
def cuts(tmp_path_factory):
    """The same rows in files that are cut in several ways."""
    folder = tmp_path_factory.mktemp("cuts")
    parquet.write_table(TABLE, folder / "whole.parquet")
    parquet.write_table(TABLE, folder / "groups.parquet", row_group_size=333)
    (folder / "many").mkdir()
    for i, start in enumerate(range(0, ROWS, 700)):
        parquet.write_table(TABLE.slice(start, 700), folder / "many" / f"{i}.parquet")
    shuffled = TABLE.take(RNG.permutation(ROWS))
    return [folder / "whole.parquet", folder / "groups.parquet", folder / "many", TABLE, shuffled]


@pytest.mark.parametrize("how", [{}, {"by": "country"}, {"by": "country", "weights": "weight"}])
def test_no_cut_order_or_number_of_threads_changes_a_bit(cuts, how):
    found = [
        lg.tables.evaluate(CE, source, COLUMNS, threads=threads, **how)
        for source in cuts
        for threads in (1, 3)
    ]
    for other in found[1:]:
        assert other.table.equals(found[0].table)


def test_batches_of_any_size_have_equal_bits():
    plan = plan_of(CE, TABLE.schema, COLUMNS, by=["country"])
    parts = open_source(TABLE).parts()
    tables = [
        local.run(plan, parts, threads=1, batch_rows=rows).groups.summary()
        for rows in (1, 17, 64, 1000, ROWS)
    ]
    assert all(table.equals(tables[0]) for table in tables)


def test_statistics_are_numpys():
    report = lg.tables.evaluate(CE, TABLE, COLUMNS, by="country", quantiles=(0.5, 0.9))
    for row in report.table.to_pylist()[:-1]:
        chosen = losses()[row["country"] == COUNTRIES]
        assert row["count"] == row["rows"] == len(chosen)
        assert row["mean"] == pytest.approx(chosen.mean(), rel=1e-6)
        error = chosen.std(ddof=1) / np.sqrt(len(chosen))
        assert row["standard_error"] == pytest.approx(error, rel=1e-5)
        assert (row["min"], row["max"]) == pytest.approx((chosen.min(), chosen.max()), rel=1e-5)
        quantiles = np.quantile(chosen, (0.5, 0.9))
        np.testing.assert_allclose((row["q50"], row["q90"]), quantiles, rtol=0.02)
    assert report.table["country"].to_pylist()[-1] is None
    assert report.total["mean"] == pytest.approx(losses().mean(), rel=1e-7)


def test_weighted_means_are_numpys():
    report = lg.tables.evaluate(CE, TABLE, COLUMNS, weights="weight")
    assert report.total["weight"] == pytest.approx(WEIGHTS.sum(), rel=1e-15)
    assert report.total["mean"] == pytest.approx(np.average(losses(), weights=WEIGHTS), rel=1e-7)


@pytest.mark.parametrize(
    "loss",
    [
        nn.CrossEntropyLoss(ignore_index=2),
        nn.CrossEntropyLoss(label_smoothing=0.1),
        nn.CrossEntropyLoss(reduction="none"),
    ],
    ids=lambda loss: repr(loss),
)
def test_means_of_a_loss_are_its_own_of_the_whole(loss):
    shared = {"weight": np.linspace(0.5, 2, CLASSES).astype("f")}
    columns = {"input": "logit_*", "target": "label"}
    report = lg.tables.evaluate(loss, TABLE, columns, shared=shared, by="country")
    whole = np.mean(loss(LOGITS, LABELS, **shared))
    assert report.total["mean"] == pytest.approx(float(whole), rel=2e-6)
    for row in report.table.to_pylist()[:-1]:
        kept = row["country"] == COUNTRIES
        own = np.mean(loss(LOGITS[kept], LABELS[kept], **shared))
        assert row["mean"] == pytest.approx(float(own), rel=2e-6)


def test_pytorch_has_the_same_mean():
    torch = pytest.importorskip("torch")
    loss = nn.CrossEntropyLoss(ignore_index=1)
    found = lg.tables.evaluate(loss, TABLE, {"input": "scores", "target": "label"}).total["mean"]
    right = torch.nn.CrossEntropyLoss(ignore_index=1)(
        torch.from_numpy(LOGITS).double(), torch.from_numpy(LABELS)
    )
    assert found == pytest.approx(float(right), rel=1e-7)


def test_gradients_by_what_rows_share_are_summed():
    given = {"temperature": np.array(1.5)}
    report = lg.tables.evaluate(
        tempered, TABLE, COLUMNS, shared=given, grad="temperature", weights="weight"
    )
    wide, each = LOGITS.astype("d"), np.full((ROWS, 1), 1.5)
    _, grads = lg.value_and_grad(tempered, wrt="temperature")(wide, LABELS, each)
    right = np.average(grads["temperature"][:, 0], weights=WEIGHTS)
    np.testing.assert_allclose(report.gradients["temperature"], right, rtol=1e-6)


def test_two_models_are_compared_row_by_row():
    report = lg.tables.evaluate(CE, TABLE, COLUMNS, against={"pred": "others"})
    wide = LOGITS[:, ::-1].astype(np.float64)
    others = np.log(np.exp(wide).sum(1)) - wide[np.arange(ROWS), LABELS]
    difference = others - losses()
    assert report.total["against_mean"] == pytest.approx(others.mean(), rel=1e-6)
    assert report.total["difference"] == pytest.approx(difference.mean(), rel=1e-4)
    error = difference.std(ddof=1) / np.sqrt(ROWS)
    assert report.total["difference_standard_error"] == pytest.approx(error, rel=1e-5)


def test_parts_of_a_composed_loss_have_figures_of_their_own():
    both = lg.weighted_sum({"far": gluon.L2Loss(), "near": (2.0, gluon.L1Loss())})
    report = lg.tables.evaluate(both, TABLE, {"pred": "scores", "label": "others"})
    x, y = LOGITS.astype("d"), LOGITS[:, ::-1].astype("d")
    assert report.total["far_mean"] == pytest.approx(((x - y) ** 2).mean() / 2, rel=1e-6)
    assert report.total["near_mean"] == pytest.approx(np.abs(x - y).mean(), rel=1e-6)
    parts = report.total["far_mean"] + 2 * report.total["near_mean"]
    assert report.total["mean"] == pytest.approx(parts, rel=1e-7)


def test_rows_with_nulls_are_skipped_and_counted_or_refused():
    label = pa.array([None if i % 10 == 3 else int(k) for i, k in enumerate(LABELS)])
    table = TABLE.set_column(TABLE.schema.get_field_index("label"), "label", label)
    with pytest.raises(lg.InputError, match=r"row 3: column 'label' is null"):
        lg.tables.evaluate(CE, table, COLUMNS, threads=1)
    report = lg.tables.evaluate(CE, table, COLUMNS, nulls="skip")
    kept = np.arange(ROWS) % 10 != 3
    assert (report.ran["rows"], report.ran["skipped"]) == (ROWS, ROWS - kept.sum())
    assert report.total["mean"] == pytest.approx(losses()[kept].mean(), rel=1e-7)


@pytest.mark.parametrize("weight", [-1.0, np.nan, np.inf])
def test_weights_are_numbers_that_are_not_negative(weight):
    weights = WEIGHTS.copy()
    weights[4321] = weight
    table = TABLE.set_column(TABLE.schema.get_field_index("weight"), "weight", pa.array(weights))
    with pytest.raises(lg.InputError, match=f"row 4321: column 'weight' has the weight {weight}"):
        lg.tables.evaluate(CE, table, COLUMNS, weights="weight", threads=1)


def test_a_loss_that_couples_rows_is_refused():
    with pytest.raises(CoupledRowsError, match=r"SDMLLoss .* batch_by"):
        lg.tables.evaluate(gluon.SDMLLoss(), TABLE, {"x1": "scores", "x2": "others"})


def test_plans_and_what_is_collected_travel():
    plan = plan_of(
        as_loss(tempered), TABLE.schema, COLUMNS, by=["country"],
        shared={"temperature": 1.5}, grad=("temperature",),
    )  # fmt: skip
    sent = pickle.loads(pickle.dumps(plan))
    parts = open_source(TABLE).parts()
    whole = local.run(plan, parts)
    pieces = []
    for start in range(0, ROWS, 1234):
        piece = local.run(sent, open_source(TABLE.slice(start, 1234)).parts())
        pieces.append(Collected.from_tables(plan, piece.to_tables()))
    found = merged(plan, pieces)
    assert found.rows == whole.rows == ROWS
    assert found.groups.summary().equals(whole.groups.summary())


@pytest.mark.parametrize("threads", [1, 3])
def test_lists_have_the_length_of_the_first_row(threads):
    def table(*lengths):
        cells = [np.zeros(n, "f") for n in lengths]
        return pa.table({"p": pa.array(cells, pa.list_(pa.float32())), "k": [0] * len(cells)})

    whole = pa.concat_tables([table(*[3] * 200_000), table(4, 4, 4)])
    with pytest.raises(lg.InputError, match=r"row 200000: column 'p'"):
        lg.tables.evaluate(CE, whole, {"pred": "p", "label": "k"}, threads=threads)
    report = lg.tables.evaluate(CE, whole.slice(0, 9), {"pred": "p", "label": "k"})
    assert report.total["mean"] == pytest.approx(np.log(3))


def test_a_table_of_which_nothing_can_be_told_is_refused():
    lists = pa.list_(pa.float32())
    nothing = pa.table({"p": pa.array([], lists), "k": pa.array([], pa.int64())})
    columns = {"pred": "p", "label": "k"}
    with pytest.raises(lg.InputError, match="the table is empty"):
        lg.tables.evaluate(CE, nothing, columns)
    with pytest.raises(lg.InputError, match="no row fulfils"):
        lg.tables.evaluate(CE, TABLE, COLUMNS, where="weight > 5")
    nulls = pa.table({"p": pa.array([None, [1.0]], lists), "k": pa.array([1, None], pa.int64())})
    with pytest.raises(lg.InputError, match="all of the 2 rows have nulls"):
        lg.tables.evaluate(CE, nulls, columns, nulls="skip")


def test_columns_of_another_model_alone_are_those_of_the_first_input():
    named = lg.tables.evaluate(CE, TABLE, COLUMNS, against={"pred": "others"})
    assert lg.tables.evaluate(CE, TABLE, COLUMNS, against="others").table.equals(named.table)


@pytest.mark.parametrize("setting", [{"CC": "/bin/false"}, {"LOSSGRAPH_KERNELS": "0"}])
def test_without_a_compiler_that_works_the_graph_computes(setting, monkeypatch):
    fused = lg.tables.evaluate(CE, TABLE, COLUMNS, by="country")
    for name, value in setting.items():
        monkeypatch.setenv(name, value)
    report = lg.tables.evaluate(CE, TABLE, COLUMNS, by="country")
    for name in ("mean", "standard_error", "max"):
        found, right = (each.table[name].to_numpy() for each in (report, fused))
        np.testing.assert_allclose(found, right, rtol=2e-6)


def test_a_loss_that_is_no_kernel_is_computed_by_its_graph():
    def products(F, pred, label):
        pairs = F.batch_dot(F.expand_dims(pred, 1), F.expand_dims(label, 2))
        return F.reshape(pairs, shape=(-1,))

    report = lg.tables.evaluate(products, TABLE, {"pred": "scores", "label": "others"})
    right = (LOGITS.astype("d") * LOGITS[:, ::-1]).sum(1).mean()
    assert report.total["mean"] == pytest.approx(right, rel=1e-5)


def test_the_worst_rows_are_told_by_their_number_in_the_file(tmp_path):
    file = tmp_path / "rows.parquet"
    parquet.write_table(TABLE, file, row_group_size=100)
    report = lg.tables.evaluate(CE, file, COLUMNS, worst=4, where="weight > 1")
    counted = np.where(WEIGHTS > 1, losses(), -1)
    assert report.worst["row"].to_pylist() == np.argsort(-counted)[:4].tolist()
    assert set(report.worst["part"].to_pylist()) == {str(file)}
    assert report.ran["where"] == "weight > 1"


@pytest.mark.parametrize("by", ["count", "q50", "weight"])
def test_a_group_that_is_named_as_a_figure_is_refused_at_once(by):
    columns = dict(zip(TABLE.column_names, TABLE.columns, strict=True))
    table = pa.table({**columns, by: LABELS})
    with pytest.raises(lg.InputError, match=f"column '{by}' has the name of a figure"):
        lg.tables.evaluate(CE, table, COLUMNS, by=by, weights="label")


@pytest.mark.parametrize(("setting", "kernels"), [("0", False), ("auto", True), ("1", True)])
def test_every_plan_heeds_the_setting_of_kernels(setting, kernels, monkeypatch):
    monkeypatch.setenv("LOSSGRAPH_KERNELS", setting)
    assert plan_of(CE, TABLE.schema, COLUMNS).kernels is kernels
