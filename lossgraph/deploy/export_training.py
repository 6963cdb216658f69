"""Exports of training graphs: a folder with which programs train that have only ONNX Runtime.

::

    train.onnx  evaluate.onnx  gradients.onnx     the graphs
    predict.onnx  model.onnx                      the model: parameters as inputs, or in state.bin
    initial.onnx  state.bin  batch.onnx           what a run begins with, an example batch
    README.md  manifest.json                      how to train, what the files are

``frozen.bin`` is there where the model has large weights that are not trained: the graphs share it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..catalogue import Example
from ..errors import InputError
from ..ir.types import TensorType
from ..models.declared_types import input_types, output_dtypes
from ..models.files import write_files
from ..runtime.sessions import make_session
from .example_inputs import choose_sizes, draw
from .manifest import MANIFEST, digests_of
from .training_page import (
    ACCUMULATE,
    BATCH,
    EVALUATE,
    FROZEN,
    GRADIENTS,
    MARK,
    PREDICT,
    TRAIN,
    TRAINED,
    Said,
    training_page,
)
from .training_state import (
    INITIAL,
    STATE,
    Place,
    constants_model,
    initial_arrays,
    initial_model,
    joined_bytes,
    layout,
    prediction_model,
    share_weights,
    stored_tensors,
    trained_model,
)

if TYPE_CHECKING:
    import onnx

    from ..training.step import TrainingStep

PAGE = "README.md"
_STEPS = 3  # whose losses the page tells
_NAMES = (TRAIN, ACCUMULATE, EVALUATE, GRADIENTS, PREDICT, TRAINED, INITIAL, STATE, BATCH, FROZEN)

Array = np.ndarray[Any, Any]


def export_training(
    step: TrainingStep,
    out_dir: str | Path,
    batch: Mapping[str, Any] | None = None,
    sizes: Mapping[str, int] | None = None,
    *,
    title: str = "",
    examples: Mapping[str, Example] | None = None,
) -> list[Path]:
    """Write the graphs of a training step, what it begins with, and a page of programs that train.

    An earlier export is replaced when everything of the new one is there, and not before.

    Args:
        step: the step, as ``lossgraph.training.build`` makes it.
        out_dir: the folder, made if it is not there.
        batch: an example batch, by the names in ``step.batch``; drawn by their types if none is
            given, labels from all classes.
        sizes: values of named dims in the batch that is drawn, instead of small usual ones.
        title: what the page calls the model; its name if none is given.
        examples: what plausible inputs of the loss are.

    Returns:
        The files written.

    Raises:
        InputError: for a batch that does not fit, and for a folder that holds files of these names
            which are not of an earlier export.
    """
    folder = Path(out_dir)
    step = step if batch is None else step.for_batch(batch)
    types = _batch_types(step)
    example = _example(step, types, batch, sizes, examples or {})
    arrays = initial_arrays(step)
    places = layout(arrays)
    models = {
        TRAIN: step.train,
        EVALUATE: step.evaluate,
        GRADIENTS: step.gradients.model,
        PREDICT: prediction_model(step),
        TRAINED: trained_model(step, places),
        INITIAL: initial_model(places, step.train),
        BATCH: _batch_model(example, step.train),
    }
    if step.accumulate is not None:
        models[ACCUMULATE] = step.accumulate
    losses = first_losses(step, arrays, example)
    models, frozen = share_weights(models, FROZEN)
    files = {name: model.SerializeToString(deterministic=True) for name, model in models.items()}
    files |= {STATE: joined_bytes(arrays), **({FROZEN: frozen} if frozen else {})}
    said = _said(step, title or step.model.graph.name, types, places, losses, bool(frozen))
    files[PAGE] = training_page(said).encode()
    files[MANIFEST] = _manifest(files, said, places)  # the last to be renamed
    return write_files(folder, files, _leftovers(folder, files))


def first_losses(
    step: TrainingStep, arrays: Mapping[str, Array], batch: Mapping[str, Array]
) -> list[float]:
    """The losses of the first batches, as ONNX Runtime computes them."""
    sessions = [make_session(step.accumulate.SerializeToString())] if step.accumulate else []
    sessions.append(make_session(step.train.SerializeToString()))
    feed, losses = {**arrays, **batch}, []
    for number in range(1, _STEPS + 1):
        made = _run(sessions[-1 if number % step.accumulation == 0 else 0], feed)
        losses.append(float(made["loss"]))
        feed |= {name: made[f"next_{name}"] for name in arrays if f"next_{name}" in made}
    return losses


def _run(session: Any, feed: Mapping[str, Array]) -> dict[str, Array]:
    names = [output.name for output in session.get_outputs()]
    given = {value.name: feed[value.name] for value in session.get_inputs()}
    return dict(zip(names, session.run(names, given), strict=True))


def _batch_types(step: TrainingStep) -> dict[str, TensorType]:
    types = {**input_types(step.evaluate), **input_types(step.train)}
    return {name: types[name] for name in step.batch if name in types}


def _example(
    step: TrainingStep,
    types: Mapping[str, TensorType],
    batch: Mapping[str, Any] | None,
    sizes: Mapping[str, int] | None,
    examples: Mapping[str, Example],
) -> dict[str, Array]:
    if batch is None:
        labels = [(name, count) for name, count in step.labels if isinstance(name, str)]
        return draw(types, choose_sizes(types, given=sizes), examples, labels)
    if set(batch) != set(types):
        raise InputError(f"batch: expected arrays for {list(types)}, got {list(batch)}")
    return {name: _fitting(name, batch[name], type_) for name, type_ in types.items()}


def _fitting(name: str, array: Any, type_: TensorType) -> Array:
    """An array of a batch, which must have the type."""
    found = np.asarray(array)
    fits = found.dtype.name == type_.dtype and found.ndim == len(type_.shape)
    if not fits or any(
        isinstance(dim, int) and dim != size
        for dim, size in zip(type_.shape, found.shape, strict=True)
    ):
        given = f"{found.dtype.name}[{', '.join(map(str, found.shape))}]"
        raise InputError(f"batch: {name!r} is {type_}, got {given}")
    return found


def _batch_model(batch: Mapping[str, Array], like: onnx.ModelProto) -> onnx.ModelProto:
    types = {name: TensorType(array.dtype.name, array.shape) for name, array in batch.items()}
    return constants_model(stored_tensors(batch), types, like)


def _said(
    step: TrainingStep,
    title: str,
    batch: Mapping[str, TensorType],
    places: Mapping[str, Place],
    losses: Sequence[float],
    frozen: bool,
) -> Said:
    types = {name: place.type for name, place in places.items()}
    return Said(
        title=title,
        parameters={name: types[name] for name in step.parameters},
        left_out=step.left_out,
        batch=batch,
        state={name: types[name] for name in (*step.state, *step.hyper)},
        hyper={name: float(str(value)) for name, value in step.hyper.items()},  # 0.1, if float32
        loss=output_dtypes(step.train)["loss"],
        size=sum(place.length for place in places.values()),
        frozen=frozen,
        losses=losses,
        accumulation=step.accumulation,
    )


def _manifest(files: Mapping[str, bytes], said: Said, places: Mapping[str, Place]) -> bytes:
    state = [
        {"name": name, **_described(place.type), "offset": place.offset, "bytes": place.length}
        for name, place in places.items()
    ]
    training = {
        "batch": {name: _described(type_) for name, type_ in said.batch.items()},
        "parameters": list(said.parameters),
        "scalars": dict(said.hyper),
        "state": state,
        "losses": list(said.losses),
    }
    content = {**digests_of(files), "training": training}
    return (json.dumps(content, indent=1, sort_keys=True) + "\n").encode()


def _described(type_: TensorType) -> dict[str, Any]:
    shape = [dim if isinstance(dim, int) else str(dim) for dim in type_.shape]
    return {"dtype": type_.dtype, "shape": shape}


def _leftovers(folder: Path, files: Mapping[str, bytes]) -> list[str]:
    """Files of an earlier export that the new one has not; refuses to touch others' files."""
    there = [name for name in (*_NAMES, PAGE, MANIFEST) if (folder / name).exists()]
    page = folder / PAGE
    if there and not (page.is_file() and page.read_bytes().startswith(MARK.encode())):
        raise InputError(
            f"{folder} holds {there[0]}, which is of no earlier export: give another folder"
        )
    return [name for name in there if name not in files]
