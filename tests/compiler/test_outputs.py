"""What the outputs of a program are, and the stages that made them."""

from __future__ import annotations

import pytest

from lossgraph import gluon
from lossgraph.authoring.functions import FunctionLoss
from lossgraph.compiler import outputs
from lossgraph.compiler.program import INVALID_LABEL, build, stages
from lossgraph.ir.expr import is_input, toposort
from lossgraph.ir.text import text
from lossgraph.ir.types import tensor_type
from lossgraph.passes.costs import Target

PAIR = dict.fromkeys(("pred", "label"), tensor_type("float32", ("N", "C")))
SPARSE = {"pred": tensor_type("float16", ("N", "C")), "label": tensor_type("int64", ("N",))}


def one(F, pred, label):
    return F.mean(F.square(pred - label), axis=1)


def two(F, pred, label):
    return one(F, pred, label), F.abs(pred)


def single_of_a_tuple(F, pred, label):
    return (one(F, pred, label),)


def with_aux(F, pred, label):
    return one(F, pred, label), {"error": pred - label, "grad_pred": pred, "0": label}


def aux_names(F, pred, label):
    return one(F, pred, label), {"error": pred - label, "grad_pred": pred}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (one, [("value", "loss", ""), ("gradient", "grad_pred", "pred")]),
        (two, [("value", "loss_0", ""), ("value", "loss_1", ""),
               ("gradient", "grad_pred", "pred")]),
        (single_of_a_tuple, [("value", "loss_0", ""), ("gradient", "grad_pred", "pred")]),
        (aux_names, [("value", "loss", ""), ("auxiliary", "loss_error", "error"),
                     ("auxiliary", "loss_grad_pred", "grad_pred"),
                     ("gradient", "grad_pred", "pred")]),
    ],
)  # fmt: skip
def test_outputs_are_typed(body, expected):
    program = build(body, PAIR, grad=("pred",))
    assert [(o.kind, o.name, o.key) for o in program.typed_outputs] == expected
    assert list(program.outputs) == [name for _, name, _ in expected]
    assert program.values == [name for kind, name, _ in expected if kind == "value"]
    assert program.aux == tuple(key for kind, _, key in expected if kind == "auxiliary")
    assert program.wrt == ("pred",)
    # what is read off the names of a file agrees with what the program knows
    for output in program.typed_outputs:
        assert outputs.classify(output.name) == (output.kind, output.key)


def test_only_a_graph_that_runs_here_has_checks():
    program = gluon.SoftmaxCELoss().program(SPARSE, grad=("pred",))
    assert {o.kind for o in program.graph_outputs(Target("portable"))} == {"value", "gradient"}
    checks = [o.name for o in program.graph_outputs(Target("cpu")) if o.kind == "check"]
    assert checks == [INVALID_LABEL]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("loss", ("value", "")),
        ("loss_12", ("value", "")),
        ("loss_boxes", ("auxiliary", "boxes")),
        ("grad_loss", ("gradient", "loss")),
        ("grad_a.b", ("gradient", "a.b")),
        ("logits", ("value", "")),
        ("losses", ("value", "")),
    ],
)
def test_outputs_of_files_are_known_by_name(name, expected):
    assert outputs.classify(name) == expected


def test_results_go_by_the_names_of_outputs():
    assert outputs.by_output_name(1, {"x": 2}) == {"loss": 1, "grad_x": 2}
    assert outputs.by_output_name((1, 2), {}) == {"loss_0": 1, "loss_1": 2}
    assert outputs.by_output_name((1, {"a": 2}), {"x": 3}) == {
        "loss": 1, "loss_a": 2, "grad_x": 3,
    }  # fmt: skip


# --- stages ---------------------------------------------------------------------------------

NAMES = [
    "trace", "stabilize", "differentiate", "resolve custom gradients", "simplify", "narrow",
    "merge scans", "prune scans",
]  # fmt: skip


def naive(F, pred, label):
    probability = F.sigmoid(pred)
    return -F.mean(label * F.log(probability) + (1 - label) * F.log(1 - probability), axis=1)


def test_stages_show_what_each_one_does():
    shown = dict(stages(naive, PAIR, ("pred",)))
    assert list(shown) == [*NAMES, "widen"]
    assert "Sigmoid" in text(shown["trace"])
    assert "Log(" not in text(shown["stabilize"])  # which would be -inf for large logits
    assert list(shown["stabilize"]) == ["loss"]
    assert list(shown["differentiate"]) == ["loss", "grad_pred"]
    assert text(shown["simplify"]).count("\n") < text(shown["differentiate"]).count("\n")


def test_the_last_stages_are_what_is_compiled():
    for body, types in ((naive, PAIR), (two, PAIR)):
        shown = dict(stages(body, types, ("pred",)))
        assert shown["prune scans"] == build(body, types, grad=("pred",)).outputs


def test_a_graph_that_runs_here_has_stages_of_its_own():
    loss, target = gluon.SoftmaxCELoss(), Target("cpu", nonempty=True, finite=True)
    shown = dict(stages(loss._forward, SPARSE, ("pred",), target=target))
    assert list(shown) == [*NAMES, "assume valid labels", "speculate", "widen"]
    assert "ClassMask" in text(shown["prune scans"])
    assert "ClassMask" not in text(shown["assume valid labels"])
    assert INVALID_LABEL in shown["speculate"]
    nodes = [node for node in toposort(shown["widen"].values()) if node.op.name != "Cast"]
    assert {node.dtype for node in nodes if not is_input(node)} == {"float32", "int64"}


def test_the_module_names_every_stage():
    """The table on top of the pipeline is what runs, in order."""
    from lossgraph.compiler import program

    loss, target = gluon.SoftmaxCELoss(), Target("cpu", nonempty=True, finite=True)
    told = [line.split("  ")[0].split(" ``")[0] for line in program.__doc__.splitlines()]
    ran = [name for name, _ in stages(loss._forward, SPARSE, ("pred",), target=target)]
    places = [next(i for i, line in enumerate(told) if line.startswith(name)) for name in ran]
    assert places == sorted(places)


def test_auxiliary_outputs_have_names_that_no_value_has():
    with pytest.raises(Exception, match="an auxiliary output of a loss has a name"):
        build(with_aux, PAIR)
    assert FunctionLoss(aux_names).program(PAIR).aux == ("error", "grad_pred")
