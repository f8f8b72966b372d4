"""The first view of somebody who has no run yet."""

from pathlib import Path

import pytest

from cross_modal_dashboards import demo_process
from cross_modal_dashboards.demo_process import DemoState


@pytest.fixture
def no_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    return tmp_path


def test_it_says_what_to_do_and_offers_the_demo(no_runs: Path, request: pytest.FixtureRequest) -> None:
    test = request.getfixturevalue("open_view")("welcome")
    assert not test.exception
    assert "cross-modal demo" in " ".join(each.value for each in test.code)
    assert [each.label for each in test.button] == ["Run the demo"]
    assert list(no_runs.iterdir()) == []


def test_a_push_starts_the_demo_and_another_stops_it(
    no_runs: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    states = {"now": DemoState(False, None, [])}
    monkeypatch.setattr(demo_process, "state", lambda: states["now"])
    monkeypatch.setattr(demo_process, "start", lambda uri: calls.append(uri))
    monkeypatch.setattr(demo_process, "stop", lambda: calls.append("stop"))
    test = request.getfixturevalue("open_view")("welcome")
    test.button[0].click().run()
    assert calls[0].startswith("sqlite:///")
    states["now"] = DemoState(True, None, ["step 3/750"])
    test = request.getfixturevalue("open_view")("welcome")
    assert "step 3/750" in test.code[-1].value
    test.button[0].click().run()
    assert calls[-1] == "stop"


def test_a_demo_that_failed_is_said(
    no_runs: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_process, "state", lambda: DemoState(False, 2, ["no space left"]))
    test = request.getfixturevalue("open_view")("welcome")
    assert "exit code 2" in test.error[0].value


def test_a_store_that_does_not_answer_is_said_and_no_demo_is_offered(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    test = request.getfixturevalue("open_view")("welcome")
    assert "127.0.0.1:9" in test.error[0].value
    assert not test.button
