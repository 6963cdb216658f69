"""Fused kernels: a program as one C function, which ONNX Runtime calls as a custom operator.

In: a ``Program``. Out: C source in stages that can be printed, a library built by a compiler of
the machine or found in the user's cache, and the model of one node that calls it.
Read ``kernel`` first: the stages stand on that page; ``sources/kernel.h`` is what C sees.
"""
