"""No test reads or writes the user's own feature store, and none leaves MLflow's variables behind; slow files first."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@pytest.fixture(autouse=True, scope="session")
def no_feature_store_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Fixtures of modules and sessions share one store; it is not the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CROSS_MODAL_CACHE", str(tmp_path_factory.mktemp("features")))
        yield


@pytest.fixture(autouse=True)
def own_feature_store(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test has an empty feature store of its own."""
    monkeypatch.setenv("CROSS_MODAL_CACHE", str(tmp_path_factory.mktemp("features")))


@pytest.fixture(autouse=True)
def unchanged_mlflow_variables() -> Iterator[None]:
    """`mlflow.set_experiment` and its like write variables that the next test would obey."""
    with _unchanged_variables():
        yield


@pytest.fixture(autouse=True, scope="module")
def unchanged_mlflow_variables_of_a_module() -> Iterator[None]:
    """The same for the fixtures that the tests of a module share."""
    with _unchanged_variables():
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first: no process should be left with a long one when the other has ended."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@contextmanager
def _unchanged_variables() -> Iterator[None]:
    before = {name: value for name, value in os.environ.items() if name.startswith("MLFLOW_")}
    yield
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        del os.environ[name]
    os.environ.update(before)
