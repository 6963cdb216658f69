"""What is run: models with inputs and the outputs that belong to them, from folders.

The folders are those of ONNX's backend tests, and of ``lossgraph export``: ``model.onnx``, or
``value.onnx`` and ``training.onnx``, beside ``test_data_set_N/{input,output}_K.pb``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lossgraph.catalogue import NAMESPACES
from lossgraph.compare.checks import MODELS, DataSet, find_models, read_data
from lossgraph.compare.differences import Tolerance
from lossgraph.errors import InputError
from lossgraph.models.loading import load_model

from .exchange import Job


@dataclass(frozen=True)
class Subject:
    """A model with its data.

    Attributes:
        case: what its loss, or its folder, is called in the results.
        kind: which of the models of that it is.
        model: its file.
        data: inputs and expected outputs; each is a run of the model as it was loaded once.
        tolerance: instead of that of the dtypes.
        tolerances: instead of that, for the data of some labels.
    """

    case: str
    kind: str
    model: Path
    data: tuple[DataSet, ...]
    tolerance: Tolerance | None = None
    tolerances: Mapping[str, Tolerance] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What it is called in the results."""
        return f"{self.case} {self.kind}"

    @property
    def job(self) -> Job:
        """The work for an engine."""
        return Job(self.model, tuple(dict(data.inputs) for data in self.data))


def read_tree(folder: Path) -> list[Subject]:
    """The models of a folder, or of all folders below it.

    Raises:
        InputError: if there is no model, or one has no data to compare with.
    """
    places = sorted({path.parent for name in MODELS for path in folder.glob(f"**/{name}")})
    return [subject for place in places or [folder] for subject in read_folder(place)]


def read_folder(
    folder: Path,
    name: str | None = None,
    tolerance: Tolerance | None = None,
    labels: Mapping[str, str] | None = None,
) -> list[Subject]:
    """The models of a folder; ``labels`` are other names for its data sets.

    Raises:
        InputError: if there is no model, or one has no data to compare with.
    """
    places, names = _data_folders(folder), labels or {}
    subjects = []
    for path in find_models(folder, fused=False):
        model = load_model(path)
        sets = (read_data(place, model) for place in places)
        data = tuple(replace(each, label=names.get(each.label, each.label)) for each in sets)
        if not data or not all(each.outputs for each in data):
            raise InputError(
                f"{folder} holds no outputs to compare with: expected "
                "test_data_set_0/output_0.pb, as `lossgraph export` writes it"
            )
        subjects.append(Subject(name or _name(folder), path.stem, path, data, tolerance))
    return subjects


def _name(folder: Path) -> str:
    """A folder's name, with that of the namespace whose folder it is in."""
    place = folder.resolve()
    namespace = place.parent.name
    return f"{namespace}.{place.name}" if namespace in NAMESPACES else place.name


def _data_folders(folder: Path) -> Sequence[Path]:
    found = [path for path in folder.glob("test_data_set_*") if path.is_dir()]
    return sorted(found, key=lambda path: (len(path.name), path.name))
