"""A process notices that another has gone, knows why, and one of them says it. Several ranks watch in one process."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest
from torch.distributed import TCPStore

from cross_modal.training import peer_watch
from cross_modal.training.launched import Launched
from cross_modal.training.peer_watch import PeerWatch


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_watch, "BEAT", 0.05)


@pytest.fixture
def port() -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        number = free.getsockname()[1]
    store = TCPStore("localhost", number, is_master=True, wait_for_workers=False)
    yield number
    del store


def watch(port: int, rank: int, size: int = 2, attempt: str = "0", silence: float = 60.0, local: int = 2) -> PeerWatch:
    place = Launched(rank, size, rank % local, local, "localhost", port, attempt=attempt)
    return PeerWatch(place, silence)


def killed(watching: PeerWatch) -> None:
    """Counts no more, and says nothing."""
    watching._stopped.set()
    watching._thread.join()


def both_count(*watching: PeerWatch) -> None:
    until = time.monotonic() + 10
    while not all(each._counts.get(rank, (b"",))[0] for each in watching for rank in each._others):
        assert time.monotonic() < until
        time.sleep(0.01)


def test_what_a_process_says_before_it_goes_is_heard_word_for_word(port: int) -> None:
    one, other = watch(port, 0), watch(port, 1)
    other.failed("items.csv row 3: label is empty")
    assert one.what_happened(5) == "process 1 of 2 failed: items.csv row 3: label is empty"
    for each in (one, other):
        each.stop()


def test_who_only_repeats_another_is_not_blamed(port: int) -> None:
    one, other = watch(port, 0, 3), watch(port, 2, 3)
    other.failed("process 1 of 3 ended without a word")
    assert one.what_happened(5) == "process 1 of 3 ended without a word"
    for each in (one, other):
        each.stop()


def test_a_process_that_is_killed_is_named(port: int) -> None:
    one, other = watch(port, 0), watch(port, 1)
    both_count(one, other)
    killed(other)
    assert one.what_happened(5).startswith("process 1 of 2 ended without a word")
    one.stop()


def test_a_process_that_has_left_may_be_silent(port: int) -> None:
    one, other = watch(port, 0), watch(port, 1)
    both_count(one, other)
    other.stop()
    time.sleep(0.3)
    assert one._reason(0.1) is None
    one.stop()


def test_one_that_is_slow_to_come_is_not_taken_for_gone(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    one = watch(port, 0)
    time.sleep(0.3)
    assert one._reason(0.1) is None
    monkeypatch.setattr(peer_watch, "ARRIVAL", 0.2)
    assert str(one._reason(0.1)).startswith("process 1 of 2 has not come within")
    one.stop()


def test_a_fresh_attempt_hears_nothing_of_the_one_before(port: int) -> None:
    before, now = watch(port, 1, attempt="0"), watch(port, 0, attempt="1")
    before.failed("out of memory")
    time.sleep(0.2)
    assert now._reason(60) is None
    for each in (before, now):
        each.stop()


def test_process_0_says_what_ends_all_and_the_others_wait_for_it(port: int) -> None:
    one, other = watch(port, 0), watch(port, 1)
    both_count(one, other)
    told_to_go = threading.Event()
    heard: list[bool] = []
    waiting = threading.Thread(target=lambda: heard.append(other.says(told_to_go)))
    waiting.start()
    time.sleep(0.4)
    assert waiting.is_alive()  # process 0 still ends its run
    one.failed("step 3: the loss is nan")
    told_to_go.set()
    waiting.join(5)
    assert heard == [False]
    assert one.says(threading.Event())
    for each in (one, other):
        each.stop()


def test_one_of_the_others_says_it_where_process_0_is_gone(port: int) -> None:
    places = [watch(port, rank, 3, local=3) for rank in range(3)]
    both_count(*places)
    killed(places[0])
    assert [each.says(threading.Event()) for each in places[1:]] == [True, False]
    for each in places[1:]:
        each.stop()


def test_another_machine_has_a_voice_of_its_own(port: int) -> None:
    places = [watch(port, rank, 4) for rank in (2, 3)]
    assert [each.says(threading.Event()) for each in places] == [True, False]
    for each in places:
        each.stop()
