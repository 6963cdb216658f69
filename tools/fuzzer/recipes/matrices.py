"""Products of matrices, and images."""

from __future__ import annotations

from .chooser import Chooser


def matrices(c: Chooser) -> str:
    x = c.array(least=2, most=3)
    shape = c.shape(x)
    n = c.integer(1, 3)
    if len(shape) == 2:
        y = c.shaped((shape[1], n))
        return c.one_of(f"F.dot({x}, {y})", f"F.linalg_gemm2({x}, {y})",
                        f"F.dot({x}, {x}, transpose_a=True)", f"F.dot({x}, {x}, transpose_b=True)",
                        f"F.linalg_gemm2({x}, {x}, transpose_b=True, alpha={c.number()})",
                        f"F.linalg_gemm({x}, {y}, {c.shaped((shape[0], n))}, "
                        f"beta={c.number()})")  # fmt: skip
    y = c.shaped((shape[0], shape[2], n))
    return c.one_of(f"F.batch_dot({x}, {y})", f"F.batch_dot({x}, {x}, transpose_b=True)",
                    f"F.batch_dot({x}, {x}, transpose_a=True)",
                    f"F.linalg_gemm2({x}, {y})",
                    f"F.dot({x}, {c.shaped((shape[2],))})")  # fmt: skip


def einsum(c: Chooser) -> str:
    x = c.array(least=2, most=2)
    y = c.shaped((c.shape(x)[1], 2))
    return c.one_of(f"F.einsum('ij,jk->ik', {x}, {y})", f"F.einsum('ij,ij->i', {x}, {x})",
                    f"F.einsum('ij->ji', {x})", f"F.einsum('ij,kj->', {x}, {x})",
                    f"F.einsum('ij,jk', {x}, {y})")  # fmt: skip


def resize(c: Chooser) -> str:
    x = c.shaped((1, 2, c.integer(1, 3), c.integer(1, 3)))
    corners = c.one_of(True, False)
    return (f"F.contrib.BilinearResize2D({x}, height={c.integer(1, 4)}, width={c.integer(1, 4)}, "
            f"align_corners={corners})")  # fmt: skip
