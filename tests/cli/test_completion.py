"""What bash offers, asked as its completion function asks."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from command_line import ok
from lossgraph.catalogue import entries, lookup
from lossgraph.cli import app


def offered(line: str) -> list[str]:
    """What completes the last word of a line."""
    words = line.split(" ")
    env = {
        "_LOSSGRAPH_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    result = CliRunner().invoke(app, [], prog_name="lossgraph", env=env)
    assert result.exit_code == 0, result.output
    return result.stdout.split()


@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("lossgraph exp", ["export", "export-training"]),
        ("lossgraph ins", ["inspect"]),
        ("lossgraph export hub", ["huber"]),
        ("lossgraph show gluon.H", ["gluon.HingeLoss", "gluon.HuberLoss"]),
        ("lossgraph plot huber gluon.Hu", ["gluon.HuberLoss"]),
        ("lossgraph attach model.onnx --loss softmax", ["softmax_ce"]),
        ("lossgraph export huber --tar", ["--target-ort"]),
        ("lossgraph list --namespace n", ["nn"]),
        ("lossgraph show huber --set ", ["rho=", "weight=", "batch_axis="]),
        ("lossgraph plot huber l1 --set r", ["rho="]),
        ("lossgraph show huber --grad pred --set rho=2 --set w", ["weight="]),
        ("lossgraph show nosuchloss --set ", []),
    ],
)
def test_the_shell_completes(line: str, completed: list[str]) -> None:
    assert offered(line) == completed


def test_every_loss_is_offered_under_each_of_its_names() -> None:
    names = offered("lossgraph show ")
    assert {entry.name for entry in entries()} <= set(names)
    assert {alias for entry in entries() for alias in entry.aliases} <= set(names)
    assert all(lookup(name) for name in names if "." in name)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_of_a_shell_is_shown(shell: str) -> None:
    env = {"_LOSSGRAPH_COMPLETE": f"source_{shell}"}
    result = CliRunner().invoke(app, [], prog_name="lossgraph", env=env)
    assert result.exit_code == 0
    assert "_LOSSGRAPH_COMPLETE" in result.stdout


def test_help_says_how_completion_is_installed() -> None:
    printed = ok("--help")
    assert "--install-completion" in printed
    assert "--show-completion" in printed


def test_neither_help_nor_completion_load_an_engine() -> None:
    """They answer while somebody waits at the keyboard."""
    code = (
        "import sys\n"
        "from lossgraph.cli import app\n"
        "from lossgraph.cli.completion import complete_loss\n"
        "assert len(list(complete_loss(''))) > 100\n"
        "print(sorted({'onnx', 'onnxruntime', 'matplotlib', 'jinja2'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=dict(os.environ), capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert done.stdout == "[]\n"
