"""A program in ONNX Runtime: the only wing that runs models.

In: a ``Program`` and arrays (numpy, or what speaks DLPack). Out: arrays of the same kind, after
the checks that the engine does not make; over shards of the batch where that is faster.
Read ``compiled`` first (how a call comes and is answered), then ``runner`` (checks, plan, retry)
and ``plans`` (the ways to run); ``session_cache`` makes the sessions.
"""
