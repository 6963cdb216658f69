"""The structure of the package: layers, public names, reproducible bytes."""

from __future__ import annotations

import ast
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import lossgraph as lg
from lossgraph.ir import dims
from lossgraph.ir.dims import named

ROOT = Path(lg.__file__).parent
# A module imports only from layers above it (and from its own package).
LAYERS = [
    ["errors"],
    ["formulas", "layered"],
    ["drawing"],
    ["dims", "spare", "reference", "examples", "signatures", "bench", "counterparts", "releases"],
    ["differences"],
    ["extremes", "foreign"],
    ["types", "lanes", "inputs"],
    ["expr"],
    ["ops"],
    ["evaluate", "autodiff", "rewrite", "precision", "separate", "arrays", "costs", "show"],
    ["rules", "scan"],
    ["trusting"],
    ["symbolic"],
    ["trace", "shapes", "options"],
    ["weighting", "reductions"],
    ["lower", "validate", "wrapping", "merging"],
    ["program", "sessions", "tiles"],
    ["graphs"],
    ["parts"],
    ["runtime"],
    ["compiled", "expressions"],
    ["parted"],
    ["loss"],
    ["functions"],
    ["compose", "losses"],
    ["gluon", "nn", "optax"],
    ["catalogue"],
    ["files", "models", "page", "samples", "protocol", "weights"],
    ["export", "checks", "triton", "attached", "curves"],
    ["serving", "plotting", "comparison"],
    ["server", "webpage", "testing"],
    ["cli"],
    ["__main__"],
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


def modules():
    return sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def package_of(path):
    return path.relative_to(ROOT).with_suffix("").parts[0]


def imported(path):
    """First parts of the modules of this package that a file imports, at any depth."""
    depth = len(path.relative_to(ROOT).parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            if node.level < depth:
                continue  # inside its own subpackage
            if node.module:
                yield node.module.split(".")[0], node
            else:
                yield from ((alias.name, node) for alias in node.names)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_import_only_what_is_above_them(path):
    own = package_of(path)
    assert own in LEVEL, f"{own} has no layer: give it one"
    typing_only = type_checking_imports(path)
    for name, node in imported(path):
        if name in ("__version__", "annotations") or node.lineno in typing_only:
            continue
        assert name in LEVEL, f"{path.name} imports {name}, which has no layer"
        assert LEVEL[name] < LEVEL[own] or name == own, f"{own} imports {name} from below"


def type_checking_imports(path):
    """Lines of imports that only the type checker reads."""
    return {
        inner.lineno
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
        if isinstance(inner, ast.ImportFrom)
    }


def test_no_file_is_too_long():
    for path in modules():
        assert len(path.read_text().splitlines()) <= 600, path.name


def test_public_names_are_these():
    assert sorted(lg.__all__) == [
        "DtypeError", "GradientError", "Input", "InputError", "LossgraphError", "LoweringError",
        "ProviderError", "Symbol", "ValidationError", "attach", "compile", "gluon", "grad", "jvp",
        "losses", "masked", "mixup", "nn", "optax", "padded", "reference", "renamed", "symbol",
        "symbolic", "testing", "uncertainty_weighted", "vjp", "weighted_sum",
    ]  # fmt: skip
    assert all(hasattr(lg, name) for name in lg.__all__)


def test_every_public_name_is_documented():
    for name in lg.__all__:
        assert getattr(lg, name).__doc__, name
    for name in lg.gluon.__all__:
        assert getattr(lg.gluon, name).__doc__, name
    for name, function in lg.symbolic.functions().items():
        assert function.__doc__, name


EXPORT = """
import hashlib
from lossgraph import gluon
model = gluon.SoftmaxCELoss(axis=1).to_onnx(
    {"pred": ("float32", ("N", "C", "T")), "label": ("int64", ("N", "T"))}, grad=["pred"])
print(hashlib.sha256(model.SerializeToString()).hexdigest())
"""


def test_exports_are_the_same_bytes_in_every_run():
    digests = set()
    for seed in ("0", "1", "12345"):
        done = subprocess.run(
            [sys.executable, "-c", EXPORT], env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        digests.add(done.stdout.strip())
    model = lg.gluon.SoftmaxCELoss(axis=1).to_onnx(
        {"pred": ("float32", ("N", "C", "T")), "label": ("int64", ("N", "T"))}, grad=["pred"]
    )
    digests.add(hashlib.sha256(model.SerializeToString()).hexdigest())
    assert len(digests) == 1


def test_models_say_what_they_are():
    model = lg.gluon.HuberLoss(rho=2).to_onnx(
        {"pred": ("float32", ("N", 3)), "label": ("float32", ("M",))}, grad=["pred"]
    )
    said = {prop.key: prop.value for prop in model.metadata_props}
    assert said["loss"] == "HuberLoss"
    assert '"rho": 2' in said["options"]
    assert said["lossgraph_version"] == lg.__version__
    assert said["constraints"] == '[["M", "3*N"]]'
    assert all("/" in node.name for node in model.graph.node)
    assert {node.domain for node in model.graph.node} == {""}


# --- sizes ----------------------------------------------------------------------------------


def test_sizes_have_a_normal_form():
    n, m = named("N"), named("M")
    assert (n + 1) * (n - 1) == n * n - 1
    assert (n * m * 4) // (m * 2) == n * 2
    assert n - n == 0
    assert n + m == m + n
    assert dims.minimum(n, n + 1) == n
    assert dims.maximum(n, 0) == n
    assert str((n * m + 3) // 2) == "(M*N+3)//(2)"
    assert dims.evaluate((n * m + 3) // 2, {"N": 3, "M": 4}) == 7
    assert dims.evaluate(n // m, {"N": 3, "M": 0}) == 0
    assert dims.substitute(dims.minimum(n, 4) * m, {"N": 2, "M": n}) == n * 2
    assert dims.names(dims.maximum(n - 1, m)) == {"N", "M"}


@pytest.mark.parametrize("bad", ["1N", "N*M", "", -1, 1.5, None, True])
def test_dims_are_ints_or_names(bad):
    with pytest.raises(lg.InputError):
        dims.as_dim(bad)
