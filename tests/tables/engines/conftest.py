"""Clusters of this machine, for a session of tests."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HELPERS = Path(__file__).resolve().parents[2] / "helpers"
HERE = "tools/test --engines makes the environment"


@pytest.fixture(scope="session")
def paths_of_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Have processes of engines import what the tests do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(HELPERS), *filter(None, sys.path)]))
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        patch.setenv("PYSPARK_DRIVER_PYTHON", sys.executable)
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        yield


@pytest.fixture(scope="session")
def ray(paths_of_workers: None) -> Iterator[object]:
    """A cluster of Ray with two CPUs."""
    module = pytest.importorskip("ray", reason=f"no Ray here: {HERE}")
    pytest.importorskip("ray.data", reason=f"no Ray Data here: {HERE}")
    module.init(
        num_cpus=2, object_store_memory=int(1e9), include_dashboard=False, log_to_driver=False
    )
    module.data.DataContext.get_current().enable_progress_bars = False
    yield module
    module.shutdown()


@pytest.fixture(scope="session")
def spark(paths_of_workers: None) -> Iterator[object]:
    """Spark with two cores; what fails is run again, up to four times."""
    sql = pytest.importorskip("pyspark.sql", reason=f"no PySpark here: {HERE}")
    if shutil.which("java") is None:
        pytest.skip("no Java here, which Spark needs")
    builder = sql.SparkSession.builder.master("local[2,4]")
    for name, value in {
        "spark.ui.enabled": "false",
        "spark.driver.memory": "1g",
        "spark.driver.host": "127.0.0.1",
        "spark.log.level": "ERROR",
        "spark.sql.shuffle.partitions": "2",
        "spark.ui.showConsoleProgress": "false",
    }.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    yield session
    session.stop()


@pytest.fixture(params=["ray", "spark"])
def engine(request: pytest.FixtureRequest) -> str:
    """The name of an engine that runs."""
    request.getfixturevalue(request.param)
    return request.param
