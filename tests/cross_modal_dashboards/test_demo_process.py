"""The demo as a child process: one at a time, its lines at hand, stopped when asked."""

import time
from collections.abc import Iterator

import pytest

from cross_modal_dashboards import demo_process


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    demo = demo_process._Demo()
    monkeypatch.setattr(demo_process, "_DEMO", demo)
    yield
    if demo.process is not None:
        demo.process.kill()


def ended(within: float = 60) -> demo_process.DemoState:
    start = time.monotonic()
    while demo_process.state().running and time.monotonic() - start < within:
        time.sleep(0.1)
    return demo_process.state()


def test_before_the_first_start_there_is_nothing() -> None:
    assert demo_process.state() == demo_process.DemoState(False, None, [])


def test_it_runs_the_command_and_keeps_its_lines() -> None:
    demo_process.start("sqlite:///nowhere.db", ("--version",))
    state = ended()
    assert state.exit_code == 0
    assert state.lines[0].startswith("cross-modal ")


def test_a_failure_is_told_by_its_exit_code_and_line() -> None:
    demo_process.start("sqlite:///nowhere.db", ("fly",))
    state = ended()
    assert state.exit_code == 2
    assert "expected a command" in state.lines[-1]


def test_a_second_start_while_it_runs_starts_nothing_and_stop_ends_it() -> None:
    demo_process.start("sqlite:////dev/null/none.db", ("doctor",))
    first = demo_process._DEMO.process
    demo_process.start("sqlite:////dev/null/none.db", ("doctor",))
    assert demo_process._DEMO.process is first
    demo_process.stop()
    assert not ended().running
