"""PyTorch, compiled by inductor."""

from __future__ import annotations

from .peer_torch import Torch


class TorchCompile(Torch):
    name = "torch-compile"
    title = "torch.compile"
    home = "torch"
    requirements = ()
    compiled = True

    # Inductor's code for this would be eager's kernel.
    ctc = None

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        import torch._inductor.config as config

        config.compile_threads = 1  # no pool of processes, which would go on beside the others
        # Without a compiler for C++, say so at once and not as a failure of the first case.
        compiled = self._torch.compile(lambda x: x * 2 + 1)
        compiled(self._torch.ones(8))
