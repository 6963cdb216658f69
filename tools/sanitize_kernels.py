"""Kernels under sanitizers: addresses and undefined behaviour, and threads. Needs gcc.

    tools/sanitize_kernels memory [PYTEST OPTION ..]
    tools/sanitize_kernels threads

``memory`` runs the tests of forms, integers and the catalogue, and random graphs, with kernels that
check each address and shift. ``threads`` runs the chunks of some losses on four threads under
ThreadSanitizer, and compares the bits of what they give with those of one thread.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "lossgraph" / "kernels" / "sources"
TESTS = ("test_forms.py", "test_integers.py", "test_catalogue.py")
LOSSES = ("gluon.L2Loss", "gluon.SoftmaxCrossEntropyLoss", "nn.CrossEntropyLoss", "nn.KLDivLoss")
CHECKED = "-O0 -fsanitize=address,undefined -fno-sanitize-recover=undefined"
ROWS, COLUMNS = 5000, 70

DRIVER = r"""
#include <pthread.h>
#include <stdio.h>
typedef struct { LgCall *call; size_t next; } Share;
static void *work(void *share) {
  Share *mine = share;
  for (size_t i; (i = __atomic_fetch_add(&mine->next, 1, __ATOMIC_RELAXED)) < mine->call->chunks;)
    mine->call->kernel->chunk(mine->call, i);
  return 0;
}
static void on_threads(LgCall *call, void *context) {
  (void)context;
  pthread_t thread[4];
  Share share = {call, 0};
  for (int i = 0; i < 4; i++) pthread_create(&thread[i], 0, work, &share);
  for (int i = 0; i < 4; i++) pthread_join(thread[i], 0);
}
static size_t elements(const int64_t *dims, int rank) {
  size_t n = 1;
  for (int i = 0; i < rank; i++) n *= (size_t)dims[i];
  return n;
}
static int run(const LgKernel *kernel, const int64_t (*dims)[LG_RANK]) {
  LgCall call[2] = {0};
  for (int c = 0; c < 2; c++) {
    call[c].kernel = kernel;
    for (int i = 0; i < kernel->inputs; i++) {
      size_t n = elements(dims[i], kernel->input_rank[i]);
      char *data = calloc(n, 8);
      if (kernel->input_type[i] == 1)
        for (size_t j = 0; j < n; j++) ((float *)data)[j] = (float)(j * 37 % 101) / 101;
      call[c].in[i] = data;
      memcpy(call[c].in_dims[i], dims[i], sizeof dims[i]);
    }
    const char *wrong = kernel->plan(&call[c]);
    if (wrong) return puts(wrong), 1;
    for (int i = 0; i < kernel->outputs; i++)
      call[c].out[i] = calloc(elements(call[c].out_dims[i], kernel->output_rank[i]) + 1, 8);
    if (lg_compute(&call[c], c ? on_threads : lg_in_order, 0)) return 1;
  }
  printf("%s: %d sweeps, the last one of %zu chunks\n", kernel->name, kernel->sweeps,
         call[1].chunks);
  for (int i = 0; i < kernel->outputs; i++)
    if (memcmp(call[0].out[i], call[1].out[i],
               elements(call[0].out_dims[i], kernel->output_rank[i]) * 4))
      return puts("other bits"), 1;
  return 0;
}
"""


def memory(options: list[str]) -> int:
    """The exit code of the tests and of a search with checked kernels."""
    libraries = [_library(name) for name in ("asan", "ubsan")]
    environment = {
        **os.environ,
        "LD_PRELOAD": " ".join(libraries),
        "ASAN_OPTIONS": "detect_leaks=0",  # Python's own
        "LOSSGRAPH_KERNEL_FLAGS": CHECKED,
        "PYTHONPATH": f"{ROOT}:{ROOT / 'tools'}",
    }
    tests = [str(ROOT / "tests" / "kernels" / name) for name in TESTS]
    commands = (
        [sys.executable, "-m", "pytest", "-q", *tests, *options],
        [sys.executable, "-m", "fuzzer", "--kernels", "--seconds", "120"],
    )
    return max(subprocess.run(each, env=environment, check=False).returncode for each in commands)


def _library(name: str) -> str:
    command = ["gcc", f"-print-file-name=lib{name}.so"]
    return subprocess.run(command, text=True, capture_output=True, check=True).stdout.strip()


def threads() -> int:
    """The exit code of some losses on threads."""
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder) / "threads.c", Path(folder) / "threads"
        source.write_text(_text())
        flags = ["-O1", "-g", "-std=gnu11", "-fsanitize=thread", "-w", "-pthread"]
        subprocess.run(["gcc", *flags, "-I", SOURCES, "-o", program, source, "-lm"], check=True)
        return subprocess.run([program], check=False).returncode


def _text() -> str:
    """The C of losses, and a program that runs them."""
    from lossgraph.catalogue import entries
    from lossgraph.ir.dims import evaluate, names
    from lossgraph.kernels.kernel import kernel_of
    from lossgraph.kernels.unit import translation_unit

    kernels, calls = [], []
    for number, entry in enumerate(e for e in entries() if e.name in LOSSES):
        loss = entry.make()
        program = loss.program(entry.example_types(loss), grad=entry.predictions)
        kernel = kernel_of(program)
        shapes = []
        for node in kernel.inputs:
            sizes = {
                name: ROWS if name == "N" else COLUMNS for d in node.shape for name in names(d)
            }
            shapes.append([evaluate(dim, sizes) for dim in node.shape])
        listed = ", ".join("{" + ", ".join(map(str, shape or [0])) + "}" for shape in shapes)
        kernels.append(kernel)
        calls.append(
            f"{{ static const int64_t dims[][LG_RANK] = {{{listed}}};"
            f" if (run(&lg_kernel_{number}, dims)) return 1; }}"
        )
    main = "int main(void) {\n" + "\n".join(calls) + "\nreturn 0;\n}\n"
    return translation_unit(kernels).text + DRIVER + main


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    if sys.argv[1:2] == ["memory"]:
        sys.exit(memory(sys.argv[2:]))
    if sys.argv[1:] == ["threads"]:
        sys.exit(threads())
    sys.exit(__doc__)
