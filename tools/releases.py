"""Writes models of all losses for a release of ONNX Runtime, and runs them in it.

The second half runs where only that release and numpy are, on any Python from 3.8.
"""

import json
import sys
import warnings
from pathlib import Path

import numpy as np

TOLERANCES = "tolerances.json"


def write(release, folder):
    """A model and an array of each input and output for each loss, and models of all versions."""
    from lossgraph.catalogue import entries, example_types
    from lossgraph.compare.differences import TOLERANCES as TABLE
    from lossgraph.deploy.example_inputs import draw_inputs
    from lossgraph.deploy.export import expected

    folder.mkdir(parents=True)
    (folder / TOLERANCES).write_text(json.dumps({k: [*t[:2]] for k, t in TABLE.items()}))
    for entry in entries():
        loss = entry.make()
        program = loss.program(example_types(loss), grad=entry.predictions)
        arrays = draw_inputs(loss, program)
        model = program.to_onnx(target_ort=release)
        (folder / f"{entry.name}.onnx").write_bytes(model.SerializeToString())
        np.savez(folder / f"{entry.name}.npz", **arrays, **expected(loss, program, arrays))
    write_versions(folder / "versions")


def python_for(release):
    """The version of Python that a release has a build for; the older ones have few."""
    return "3.8" if tuple(map(int, release.split(".")[:2])) < (1, 16) else "3.11"


def write_versions(folder):
    """Models of one node, up to two versions newer than all that onnx knows."""
    from onnx import IR_VERSION, TensorProto, defs, helper

    opsets, irs = range(13, defs.onnx_opset_version() + 3), range(7, IR_VERSION + 3)

    folder.mkdir()
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "versions", [x], [y])
    for opset, ir in [*((opset, 7) for opset in opsets), *((13, ir) for ir in irs)]:
        imports = [helper.make_opsetid("", opset)]
        model = helper.make_model(graph, opset_imports=imports, ir_version=ir)
        (folder / f"{opset}_{ir}.onnx").write_bytes(model.SerializeToString())


def run(folder):
    """Whether all is right; says what is not."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4

    def session(path):
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    failed, models = 0, sorted(folder.glob("*.onnx"))
    tolerances = json.loads((folder / TOLERANCES).read_text())
    for path in models:
        arrays = dict(np.load(path.with_suffix(".npz")))
        try:
            loaded = session(path)
            feeds = {info.name: arrays[info.name] for info in loaded.get_inputs()}
            names = [info.name for info in loaded.get_outputs()]
            for name, value in zip(names, loaded.run(names, feeds)):  # noqa: B905
                rtol, atol = tolerances.get(value.dtype.name, (0, 0))
                np.testing.assert_allclose(value, arrays[name], rtol, atol, err_msg=name)
        except Exception as error:  # those of ONNX Runtime have no common base
            failed += 1
            print(f"{path.stem}: {' '.join(str(error).split())[:200]}")
    most = np.zeros(2, int)
    for path in (folder / "versions").glob("*.onnx"):
        try:
            session(path)
            most = np.maximum(most, [int(part) for part in path.stem.split("_")])
        except Exception:
            continue
    print(
        f"ONNX Runtime {onnxruntime.__version__}: loads opset {most[0]} and IR {most[1]} at most; "
        f"{failed} of {len(models)} losses fail"
    )
    return not failed


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    if sys.argv[1] == "python":
        print(python_for(sys.argv[2]))
    elif sys.argv[1] == "write":
        write(sys.argv[2], Path(sys.argv[3]))
    elif not run(Path(sys.argv[2])):
        sys.exit(1)
