"""Commands of ``lossgraph``, called in this process."""

from __future__ import annotations

from typer.testing import CliRunner, Result

from lossgraph.cli import app


def call(*args: object) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args])


def ok(*args: object) -> str:
    """What a command that works prints."""
    result = call(*args)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*args: object) -> str:
    """The message of a command that is used wrongly, and nothing else."""
    result = call(*args)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    return result.stderr
