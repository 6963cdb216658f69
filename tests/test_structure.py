"""The structure of the package: layers, public names, reproducible bytes."""

from __future__ import annotations

import ast
import graphlib
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import lossgraph as lg
from lossgraph.ir import dims
from lossgraph.ir.dims import named
from support import load_tool

PACKAGE = Path(lg.__file__).parent
wings = load_tool("wings.py")
WINGS, modules, imports = wings.WINGS, wings.modules, wings.imports
# Of a wing's ``__init__``, at least: what comes in, what goes out, what to read.
DOCUMENTED_LINES = 4


def upward_imports(package):
    """What is wrong with the wings: imports from below, modules without one, cycles inside one."""
    known, wrong, inside = modules(package), [], {wing: {} for wing in WINGS}
    for module, path in known.items():
        if not module:
            continue
        wing = module[0]
        if wing not in WINGS:
            wrong.append(f"{'.'.join(module)} has no wing")
            continue
        for target in imports(module, path, known):
            if not target:  # the package itself, of which only the version is read
                continue
            if target[0] == wing:
                inside[wing].setdefault(module, set()).add(target)
            elif WINGS.index(target[0]) > WINGS.index(wing):
                wrong.append(f"{'.'.join(module)} imports {'.'.join(target)} from below")
    for graph in inside.values():
        try:
            graphlib.TopologicalSorter(graph).prepare()
        except graphlib.CycleError as error:
            wrong.append("a cycle: " + " <- ".join(".".join(m) for m in error.args[1]))
    return wrong


def undocumented_wings(package):
    """Wings whose ``__init__`` does not say what comes in, what goes out and what to read."""
    found = []
    for wing in WINGS:
        path = package / wing / "__init__.py"
        if path.parent.is_dir():
            text = ast.get_docstring(ast.parse(path.read_text())) if path.exists() else None
            if len((text or "").splitlines()) < DOCUMENTED_LINES:
                found.append(wing)
    return found


WRONG = upward_imports(PACKAGE)


@pytest.mark.parametrize("module", [".".join(name) for name in modules(PACKAGE) if name])
def test_modules_import_only_what_is_above_them(module):
    assert [line for line in WRONG if line.split()[0] == module] == []


def test_no_wing_has_a_cycle_or_imports_from_below():
    assert WRONG == []


def test_every_wing_says_what_it_is():
    assert undocumented_wings(PACKAGE) == []


def test_the_package_is_seen_at_a_glance():
    listed = [path for path in PACKAGE.iterdir() if path.name != "__pycache__"]
    assert len(listed) <= 29  # with the folder itself 30 lines of ``find -maxdepth 1``


@pytest.mark.parametrize(
    ("path", "text", "complaint"),
    [
        ("ir/dims.py", "from ..gluon.loss import Loss", "imports gluon.loss from below"),
        (
            "ir/dims.py",
            "def late():\n    from ..runtime import sessions",
            "runtime.sessions from below",
        ),
        ("ir/types.py", "from .ops import exp", "a cycle"),
        ("ir/dims.py", "if TYPE_CHECKING:\n    from ..passes.rewrite import rewrite", "from below"),
        ("extra.py", '"""A module without a wing."""', "extra has no wing"),
    ],
)
def test_planted_faults_of_structure_are_found(tmp_path, path, text, complaint):
    copy = tmp_path / "lossgraph"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / path).touch()
    (copy / path).write_text((copy / path).read_text() + "\n" + text + "\n")
    assert any(complaint in line for line in upward_imports(copy))


def test_a_wing_without_its_lines_is_found(tmp_path):
    copy = tmp_path / "lossgraph"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "passes" / "__init__.py").write_text('"""Passes."""\n')
    assert undocumented_wings(copy) == ["passes"]


def test_no_file_is_too_long():
    for path in modules(PACKAGE).values():
        assert len(path.read_text().splitlines()) <= 600, path.name


def test_public_names_are_these():
    assert sorted(lg.__all__) == [
        "DtypeError", "GradientError", "Input", "InputError", "LossgraphError", "LossgraphWarning",
        "LoweringError", "ProviderError", "Symbol", "ValidationError", "attach", "compile",
        "from_onnx", "gluon", "grad", "jvp", "losses", "masked", "mixup", "nn", "optax", "padded",
        "plot", "reference", "renamed", "symbol", "symbolic", "tables", "testing", "training",
        "uncertainty_weighted", "value_and_grad", "vjp", "weighted_sum",
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
