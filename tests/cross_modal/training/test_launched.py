"""Which process this is, and which of several says what ends them."""

import pytest

from cross_modal.errors import CrossModalError
from cross_modal.training.launched import Launched, launched, refuse_several, says, spoken

WHOLE = {
    "RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "node0",
    "MASTER_PORT": "29500",
}  # fmt: skip


def environment(monkeypatch: pytest.MonkeyPatch, **other: str) -> None:
    for name, value in (WHOLE | other).items():
        monkeypatch.setenv(name, value)


def test_four_processes_on_two_machines() -> None:
    place = launched(WHOLE)
    assert (place.rank, place.size, place.local_rank, place.local_size, place.machines) == (3, 4, 1, 2, 2)
    assert (place.host, place.port) == ("node0", 29500)


@pytest.mark.parametrize("given", [{}, {"WORLD_SIZE": "1", "RANK": "0"}, {"WORLD_SIZE": ""}])
def test_one_process_needs_nothing_else(given: dict[str, str]) -> None:
    assert launched(given) == Launched()


@pytest.mark.parametrize(
    ("other", "keeps"),
    [
        ({"RANK": "0", "LOCAL_RANK": "0"}, True),
        ({"RANK": "0", "LOCAL_RANK": "0", "TORCHELASTIC_USE_AGENT_STORE": "True"}, False),
        ({}, False),
    ],
)
def test_the_meeting_place_is_kept_by_torchrun_or_else_by_process_0(other: dict[str, str], keeps: bool) -> None:
    assert launched(WHOLE | other).keeps_store is keeps


def test_a_fresh_start_after_a_failure_is_another_attempt() -> None:
    assert launched(WHOLE | {"TORCHELASTIC_RESTART_COUNT": "2"}).attempt == "2"


def test_world_size_alone_says_what_to_do() -> None:
    with pytest.raises(CrossModalError, match=r"expected RANK and all that torchrun sets, found none \(unset it\?\)"):
        launched({"WORLD_SIZE": "2"})


def test_what_several_would_do_several_times_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    refuse_several("sweep")
    environment(monkeypatch)
    with pytest.raises(CrossModalError, match="sweep: expected one process, found 4 of torchrun"):
        refuse_several("sweep")


def test_before_they_meet_one_process_of_each_machine_says_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    environment(monkeypatch)
    assert not says(CrossModalError("wrong option"))
    environment(monkeypatch, RANK="2", LOCAL_RANK="0")
    assert says(CrossModalError("wrong option"))


@pytest.mark.parametrize("here", [True, False])
def test_afterwards_the_one_that_was_agreed_on(monkeypatch: pytest.MonkeyPatch, here: bool) -> None:
    environment(monkeypatch)
    error = CrossModalError("out of luck")
    spoken(error, here)
    assert says(error) is here
