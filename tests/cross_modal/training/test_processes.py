"""Two real processes train one twin: their losses, gradients and weights are those of one process."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toys import rank_steps

from cross_modal.errors import CrossModalError
from cross_modal.training.launched import Launched, launched
from cross_modal.training.processes import Processes, joined_processes

ROOT = Path(__file__).parents[3]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def environment() -> dict[str, str]:
    paths = [ROOT, ROOT / "plugin", ROOT / "tests", *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(map(str, paths))}


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("ranks")
    command = [*TORCHRUN, str(Path(rank_steps.__file__)), str(folder)]
    subprocess.run(command, env=environment(), check=True, timeout=300)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("kind", rank_steps.KINDS, ids=lambda kind: kind.__name__)
def test_ten_steps_of_two_processes_are_those_of_one(kind: Any, ranks: list[dict[str, Any]], tmp_path: Path) -> None:
    alone = rank_steps.steps_of(kind, tmp_path)
    for found in (rank[kind.__name__] for rank in ranks):
        assert found["losses"] == pytest.approx(alone["losses"], abs=1e-5)
        for one, other in zip(alone["parts"], found["parts"], strict=True):
            assert other == pytest.approx(one, abs=1e-5)
        for one, other in zip(alone["gradients"], found["gradients"], strict=True):
            assert one.keys() == other.keys()
            assert one
            for name, gradient in one.items():
                torch.testing.assert_close(
                    other[name], gradient, atol=1e-5, rtol=1e-4, msg=partial("{}: {}".format, name)
                )


@pytest.mark.parametrize("kind", rank_steps.ALL_KINDS, ids=lambda kind: kind.__name__)
def test_both_processes_have_the_same_weights_to_the_last_bit(kind: Any, ranks: list[dict[str, Any]]) -> None:
    one, other = (rank[kind.__name__]["weights"] for rank in ranks)
    learned = [name for name in one if "running" not in name]
    assert learned
    assert all(torch.equal(one[name], other[name]) for name in learned)


@pytest.mark.parametrize(("rows", "size"), [(0, 2), (1, 3), (7, 2), (8, 3)])
def test_slices_are_disjoint_even_and_whole(rows: int, size: int) -> None:
    parts = []
    for rank in range(size):
        processes = Processes(Launched())
        processes.rank, processes.size = rank, size
        parts.append(processes.own(np.arange(rows)).tolist())
    assert sorted(row for part in parts for row in part) == list(range(rows))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_one_process_alone_needs_no_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined_processes() as processes:
        assert (processes.size, processes.leads) == (1, True)
        assert processes.told({"a": 1}) == {"a": 1}
        assert processes.collected({"a": 1}) == [{"a": 1}]
        assert processes.largest(2.5) == 2.5
        embeddings = torch.ones(3, 2, requires_grad=True)
        assert processes.joined(embeddings, 3, 2, embeddings.device) is embeddings


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"WORLD_SIZE": "2"}, "expected RANK and all that torchrun sets"),
        ({"RANK": "5"}, "found RANK 5"),
        ({"LOCAL_WORLD_SIZE": "3"}, "LOCAL_WORLD_SIZE 3"),
        ({"RANK": "first"}, "RANK: expected a number, as torchrun sets it, found 'first'"),
    ],
)
def test_an_environment_that_does_not_fit_is_named(given: dict[str, str], words: str) -> None:
    whole = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}
    whole |= {"MASTER_ADDR": "localhost", "MASTER_PORT": "1"}
    with pytest.raises(CrossModalError, match=words):
        launched(given if given == {"WORLD_SIZE": "2"} else whole | given)
