"""Exported losses in several ONNX engines, compared with what they ought to give.

``gallery`` exports losses with data, ``subjects`` reads folders of models with data, ``adapters``
are the engines, ``compare`` judges, ``report`` shows. Engines that live in other processes are
spoken to through folders of files, which ``exchange`` writes and reads.
"""
