"""No test reads or writes the user's own feature store."""

import pytest


@pytest.fixture(autouse=True)
def own_feature_store(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test has an empty feature store of its own."""
    monkeypatch.setenv("CROSS_MODAL_CACHE", str(tmp_path_factory.mktemp("features")))
