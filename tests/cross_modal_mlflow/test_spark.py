"""A twin as a Spark function: batches on two workers, answered from the logged support alone."""

import os
import shutil
import sys
from collections.abc import Iterator
from typing import Any

import mlflow.pyfunc
import numpy as np
import pytest
from toys.requests import picture
from toys.tiny_twin import tiny_twin

import cross_modal_mlflow
from cross_modal.data.items import Items
from cross_modal_mlflow.logged_support import encode_support

pytestmark = pytest.mark.slow
QUERIES = [3, 0, 2, 1, 3, 2]


def needed(what: str) -> None:
    """Skips where something cannot be had, unless everything is required."""
    if os.environ.get("CROSS_MODAL_REQUIRE") == "all":
        pytest.fail(f"{what}: expected it, as CROSS_MODAL_REQUIRE=all")
    pytest.skip(f"{what} is not installed")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    twin = tiny_twin()
    items = Items.of(images=[picture(seed) for seed in range(4)], labels=[f"class {seed}" for seed in range(4)])
    folder = tmp_path_factory.mktemp("spark") / "model"
    cross_modal_mlflow.save_model(twin, folder, support=encode_support(twin, items))
    return str(folder)


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        needed("pyspark")
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        needed("Java")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
        session = builder.config("spark.driver.host", "127.0.0.1").getOrCreate()
        session.sparkContext.setLogLevel("OFF")
        yield session
        session.stop()


@pytest.fixture(scope="module")
def table(spark: Any) -> Any:
    """Queries in two partitions."""
    rows = [(number, bytearray(picture(seed))) for number, seed in enumerate(QUERIES)]
    return spark.createDataFrame(rows, "number int, image binary").repartition(2)


def answers(spark: Any, model: str, table: Any, columns: str, kind: str, **params: Any) -> Any:
    """The answers in the order of the rows."""
    from pyspark.sql import functions

    answer = mlflow.pyfunc.spark_udf(spark, model, result_type=kind, params=params or None, env_manager="local")
    found = table.select("number", answer(functions.struct(*columns.split())).alias("answer"))
    return [row["answer"] for row in sorted(found.collect(), key=lambda row: row["number"])]


def test_every_row_has_its_class(spark: Any, model: str, table: Any) -> None:
    found = answers(spark, model, table, "image", "label string, probability double, score double")
    here = mlflow.pyfunc.load_model(model).predict([{"image": picture(seed)} for seed in QUERIES])
    assert [row["label"] for row in found] == [f"class {seed}" for seed in QUERIES]
    assert np.allclose([row["score"] for row in found], here.score, rtol=1e-5)
    assert answers(spark, model, table, "image", "string") == [f"class {seed}" for seed in QUERIES]


def test_embeddings_and_neighbours(spark: Any, model: str, table: Any) -> None:
    kind = "embedding array<float>, modality string"
    found = answers(spark, model, table, "image", kind, task="embed")
    here = mlflow.pyfunc.load_model(model).predict(
        [{"image": picture(seed)} for seed in QUERIES], params={"task": "embed"}
    )
    assert np.allclose([list(row["embedding"]) for row in found], here.embedding.tolist(), atol=1e-5)
    kind = "label string, neighbour_labels array<string>"
    found = answers(spark, model, table, "image", kind, task="search", top=2)
    assert [row["neighbour_labels"][0] for row in found] == [f"class {seed}" for seed in QUERIES]
    assert {len(row["neighbour_labels"]) for row in found} == {2}


def test_rows_that_need_each_other_are_refused(spark: Any, model: str, table: Any) -> None:
    from pyspark.errors import PythonException
    from pyspark.sql import functions

    with_roles = table.withColumn("role", functions.lit("support")).withColumn("label", functions.lit("a"))
    with pytest.raises(PythonException, match="row 0: role: expected none in Spark"):
        answers(spark, model, with_roles, "image role label", "string")
    with pytest.raises(PythonException, match='expected no "verify" in Spark'):
        answers(spark, model, table.withColumn("pair", functions.lit("p")), "image pair", "string", task="verify")


def test_an_embedding_asked_for_as_plain_numbers_is_an_error_and_not_a_row_number(
    spark: Any, model: str, table: Any
) -> None:
    from pyspark.errors import PythonException

    with pytest.raises(PythonException, match="did not produce any values compatible"):
        answers(spark, model, table, "image", "array<double>", task="embed")
