"""A kernel that was not generated, and libraries built without our own toolchain and cache."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

import lossgraph.kernels
from lossgraph.kernels.unit import translation_unit
from support import ROOT

SOURCES = Path(lossgraph.kernels.__file__).parent / "sources"
CC = shutil.which("cc")
FLAGS = ["-O3", "-std=gnu11", "-shared", "-fPIC", "-fvisibility=hidden"]
MORE = os.environ.get("LOSSGRAPH_KERNEL_FLAGS", "").split()  # of tools/sanitize_kernels
STRICT = ["-Wall", "-Wextra", "-Werror"]

needs_cc = pytest.mark.skipif(CC is None, reason="no C compiler")


class HandWritten:
    """``hand_written.c`` for a program with its inputs and outputs: half the mean square."""

    def __init__(self, program, name="Fused_by_hand"):
        self.name = name
        self.inputs = program.inputs
        self.outputs = program.outputs

    def text(self, number):
        text = (ROOT / "tests" / "kernels" / "hand_written.c").read_text()
        return text.replace("NUMBER", str(number)).replace("NAME", self.name)


def build(text, path, *flags):
    """A library of a translation unit."""
    command = [CC, *FLAGS, *flags, *MORE, "-I", SOURCES, "-x", "c", "-", "-o", path, "-lm"]
    subprocess.run(command, input=text, text=True, check=True)
    return path


def build_kernels(kernels, folder, domain=None, *flags):
    """A library of kernels: its path, and their domain."""
    unit = translation_unit(kernels, domain)
    return build(unit.text, folder / f"{unit.domain}.so", *flags), unit.domain
