"""A small real run, trained once, as the explorer meets it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from toys.shapes_on_disk import write_shapes

from cross_modal_dashboards import resources
from cross_modal_mlflow.command_line import main

VIEWS = Path(resources.__file__).with_name("views")


@dataclass(frozen=True)
class RealRun:
    """A store with one trained twin.

    Attributes:
        uri: The tracking store.
        run_id: The run.
        folder: Where everything lies.
    """

    uri: str
    run_id: str
    folder: Path


@pytest.fixture(scope="session")
def real_run(tmp_path_factory: pytest.TempPathFactory) -> RealRun:
    """The shapes, a tiny twin, a few steps: with a gallery, pairs and a calibration."""
    folder = tmp_path_factory.mktemp("explored")
    uri, before = f"sqlite:///{folder / 'mlflow.db'}", Path.cwd()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", uri)
        patch.setenv("CROSS_MODAL_CACHE", "off")
        patch.chdir(folder)
        assert main(["train", "--config", str(write_shapes(folder))]) == 0
    assert Path.cwd() == before
    from cross_modal_dashboards.catalogue import Catalogue

    (run,) = Catalogue(uri).runs()
    return RealRun(uri, run.run_id, folder)


@pytest.fixture
def explored(real_run: RealRun, monkeypatch: pytest.MonkeyPatch) -> RealRun:
    """The run, as the store that the explorer reads."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", real_run.uri)
    return real_run


@pytest.fixture(autouse=True)
def fresh_caches() -> Iterator[None]:
    """No test sees what another one looked at."""
    yield
    import streamlit as st

    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.fixture
def open_view() -> Callable[..., AppTest]:
    """Opens a page by a link with this state."""

    def opened(name: str, **state: str) -> AppTest:
        test = AppTest.from_file(str(VIEWS / f"{name}.py"), default_timeout=120)
        for key, value in state.items():
            test.query_params[key] = value
        return test.run()

    return opened
