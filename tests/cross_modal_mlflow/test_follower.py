"""`torchrun -m cross_modal_mlflow train`: several processes, one twin, one run; and what happens when one dies."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from toys import counted_ranks
from toys.pairs_on_disk import write_pairs
from toys.shapes_on_disk import write_shape_shards, write_shapes

from cross_modal_mlflow.command_line import main

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
EACH_STEP = ["--training.log-every", "1", "--explorer", "false", "--training.accelerator", "cpu"]


def start(folder: Path, *words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*TORCHRUN, "-m", "cross_modal_mlflow", *words],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def client(folder: Path) -> MlflowClient:
    return MlflowClient(tracking_uri=f"sqlite:///{folder}/mlruns/mlflow.db")


def runs(folder: Path) -> list[Any]:
    known = client(folder)
    return list(known.search_runs([each.experiment_id for each in known.search_experiments()]))


def losses(folder: Path, run_id: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in client(folder).get_metric_history(run_id, "train/loss")]


def process(launcher: int, rank: int) -> int:
    """The process of a rank that `torchrun` started."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            if parent == str(launcher) and f"\0RANK={rank}\0".encode() in (folder / "environ").read_bytes():
                return int(folder.name)
        except OSError:  # it has ended meanwhile
            continue
    raise AssertionError(f"no process of rank {rank}")


def wait_for_checkpoint(folder: Path, running: "subprocess.Popen[str]") -> None:
    until = time.monotonic() + 120
    while not list(folder.glob("mlruns/checkpoints/*/last.pt")):
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize(("rank", "write"), [(0, write_pairs), (1, write_shapes)])
def test_a_process_that_dies_ends_the_others_and_the_run_goes_on_later(workplace: Path, rank: int, write: Any) -> None:
    config = str(write(workplace))
    settings = [*EACH_STEP, "--training.steps", "4000", "--training.validate-every", "4000"]
    running = start(workplace, "train", "--config", config, *settings, "--training.checkpoint-every", "5")
    wait_for_checkpoint(workplace, running)
    os.kill(process(running.pid, rank), signal.SIGKILL)
    killed = time.monotonic()
    _, error = running.communicate(timeout=90)
    assert time.monotonic() - killed < 60
    assert running.returncode != 0
    assert f"process {rank} of 2 ended without a word" in error
    (run,) = runs(workplace)
    assert (run.info.status, "--resume" in error) == (("FAILED", True) if rank else ("RUNNING", False))


@pytest.mark.slow
def test_two_processes_are_one_run_of_one_voice_and_it_goes_on_after_ctrl_c_bit_for_bit(workplace: Path) -> None:
    config = str(write_shapes(workplace))
    settings = [*EACH_STEP, "--training.steps", "60", "--training.validate-every", "30"]
    out, error = (whole := start(workplace, "train", "--config", config, *settings)).communicate(timeout=300)
    assert whole.returncode == 0, error
    (first,) = runs(workplace)
    assert first.info.status == "FINISHED"
    assert [step for step, _ in losses(workplace, first.info.run_id)] == list(range(1, 61))
    assert first.data.metrics["training/peak_memory_gigabytes"] > 0
    assert out.count("cross-modal evaluate runs:/") == 1
    assert error.count("step 60/60") == 1
    assert error.count("2 processes on a CPU: image.stack.0.1 (BatchNorm2d) normalises by the statistics") == 1
    running = start(workplace, "train", "--config", config, *settings, "--training.checkpoint-every", "5")
    wait_for_checkpoint(workplace, running)
    running.send_signal(signal.SIGINT)
    _, error = running.communicate(timeout=90)
    (broken,) = (run for run in runs(workplace) if run.info.run_id != first.info.run_id)
    assert broken.info.status == "KILLED", error
    run_id = broken.info.run_id
    assert f"go on with: cross-modal train --resume {run_id}" in error
    assert len(losses(workplace, run_id)) < 60
    _, error = (again := start(workplace, "train", "--resume", run_id)).communicate(timeout=300)
    assert again.returncode == 0, error
    assert losses(workplace, run_id) == losses(workplace, first.info.run_id)


@pytest.mark.slow
def test_what_is_wrong_with_the_data_is_said_by_one_process(workplace: Path) -> None:
    _, error = (running := start(workplace, "train", "--data", "nowhere.csv")).communicate(timeout=120)
    assert running.returncode != 0
    assert error.count("cross-modal: ") == error.count("cross-modal: nowhere.csv") == 1
    assert "traceback : nowhere.csv" in error  # the end of torchrun's own report
    assert not any("train" in run.data.tags.get("cross_modal.command", "") for run in runs(workplace))


@pytest.mark.slow
def test_a_bad_picture_in_the_part_of_another_process_is_said_by_one_process(workplace: Path) -> None:
    config = str(write_shape_shards(workplace, bad=(7, 9)))  # process 1 looks at odd rows
    began = time.monotonic()
    _, error = (running := start(workplace, "train", "--config", config)).communicate(timeout=120)
    assert time.monotonic() - began < 60
    assert running.returncode != 0
    assert error.count("cross-modal: ") == error.count("cross-modal: webdataset:") == 1
    assert "item 8: image '0007.png' is unreadable" in error
    assert not runs(workplace)


@pytest.mark.slow
def test_two_processes_list_look_at_and_decode_everything_once(workplace: Path) -> None:
    config = str(write_shape_shards(workplace, bad=(7,)))
    words = [*EACH_STEP, "--items.memory-gigabytes", "0", "--items.on-bad-item", "skip", "--training.steps", "12"]
    command = [*TORCHRUN, "-m", "toys.counted_ranks", str(workplace), "train", "--config", config, *words]
    paths = [str(Path(counted_ranks.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(command, cwd=workplace, capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr
    first, second = (json.loads((workplace / f"{rank}.json").read_text()) for rank in range(2))
    assert sorted(first["listed"] + second["listed"]) == [f"s-{shard}.tar" for shard in range(5)]
    assert sorted(first["checked"] + second["checked"]) == [f"{row:04d}.png" for row in range(128)]
    assert len(first["checked"]) == len(second["checked"])
    assert [step for step, *_ in first["steps"]] == list(range(12))
    for (step, batch, one), (same_step, same_batch, other) in zip(first["steps"], second["steps"], strict=True):
        assert (step, batch) == (same_step, same_batch)
        assert sorted(one + other) == sorted(batch)  # whole, and nothing twice
        assert len(set(batch)) == len(batch) == 16
        assert abs(len(one) - len(other)) <= 1
        assert "0007.png" not in batch
    (run,) = runs(workplace)
    assert run.data.metrics["data/skipped_items"] == 1


def test_other_commands_refuse_several_processes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}
    for name, value in (place | {"MASTER_ADDR": "localhost", "MASTER_PORT": "1"}).items():
        monkeypatch.setenv(name, value)
    assert main(["index", "--help"]) == 2
    assert "index: expected one process, found 2 of torchrun" in capsys.readouterr().err
