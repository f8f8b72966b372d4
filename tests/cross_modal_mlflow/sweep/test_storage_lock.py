import subprocess
import sys
import threading
import time

import optuna
import pytest

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.sweep import storage_lock
from cross_modal_mlflow.sweep.storage import open_storage
from cross_modal_mlflow.sweep.storage_lock import one_at_a_time

HOLDER = """
import sys, time
from cross_modal_mlflow.sweep.storage import open_storage
from cross_modal_mlflow.sweep.storage_lock import one_at_a_time
with one_at_a_time(open_storage(sys.argv[1])):
    print("inside", flush=True)
    time.sleep(600)
"""


def most_inside(storage: optuna.storages.BaseStorage) -> int:
    inside, most = 0, 0

    def enter() -> None:
        nonlocal inside, most
        with one_at_a_time(storage):
            inside += 1
            most = max(most, inside)
            time.sleep(0.03)
            inside -= 1

    threads = [threading.Thread(target=enter) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return most


def test_one_is_inside_at_a_time(place: str) -> None:
    assert most_inside(open_storage(place)) == 1


def test_one_is_inside_at_a_time_in_memory() -> None:
    assert most_inside(optuna.storages.InMemoryStorage()) == 1


def test_the_storage_of_a_study_is_the_same_lock(place: str) -> None:
    storage = open_storage(place)
    study = optuna.create_study(storage=storage)  # wraps it

    def enter() -> None:
        with one_at_a_time(study._storage):
            pass

    other = threading.Thread(target=enter)
    with one_at_a_time(storage):
        other.start()
        other.join(0.2)
        assert other.is_alive()
    other.join(5)
    assert not other.is_alive()


def test_an_error_inside_lets_the_next_one_in(place: str) -> None:
    storage = open_storage(place)
    with pytest.raises(ZeroDivisionError), one_at_a_time(storage):
        _ = 1 / 0
    with one_at_a_time(storage):
        pass


def test_whoever_is_inside_too_long_is_named_and_whoever_is_killed_blocks_nobody(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = open_storage(place)
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, place], stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"inside\n"
        monkeypatch.setattr(storage_lock, "PATIENCE", 0.3)
        with pytest.raises(CrossModalError, match=r"within 0\.3 s, found another worker's lock") as caught:
            one_at_a_time(storage).__enter__()
        assert "word" not in str(caught.value)  # of the password
    finally:
        holder.kill()
        holder.wait()
    monkeypatch.setattr(storage_lock, "PATIENCE", 5)
    with one_at_a_time(storage):
        pass


def test_other_storages_are_refused() -> None:
    class Other(optuna.storages.InMemoryStorage):
        pass

    with one_at_a_time(Other()):
        pass
    with pytest.raises(CrossModalError, match="expected a journal file or PostgreSQL, found object"):
        one_at_a_time(object()).__enter__()  # type: ignore[arg-type]
