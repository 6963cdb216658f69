"""Exported losses in several ONNX engines, compared with what they ought to give.

``cases`` exports losses with data, those of the catalogue and of the ``gallery``; ``subjects``
reads folders of models with data, ``adapters`` are the engines, ``matrix`` judges, ``known`` are
defects of engines, ``report`` and ``page`` show. Engines live in workers, processes that answer
requests; ``exchange`` says which.
"""
