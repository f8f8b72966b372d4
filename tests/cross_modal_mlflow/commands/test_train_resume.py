"""`train --resume`: a run that was killed goes on as if it had not been, in the same MLflow run."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from toys.shapes_on_disk import write_shapes

from cross_modal_mlflow.command_line import main
from cross_modal_mlflow.store import open_store
from cross_modal_mlflow.sweep.worker_process import worker_name
from cross_modal_mlflow.tracking import PROCESS, tracked_run

STEPS = 24
SETTINGS = [
    "--training.steps", str(STEPS), "--training.validate-every", "8", "--training.checkpoint-every", "3",
    "--training.log-every", "1", "--items.memory-gigabytes", "0", "--items.workers", "2", "--explorer", "false",
]  # fmt: skip


def client(workplace: Path) -> MlflowClient:
    return MlflowClient(tracking_uri=f"sqlite:///{workplace}/mlruns/mlflow.db")


def runs(workplace: Path) -> list[Any]:
    known = client(workplace)
    return list(known.search_runs([each.experiment_id for each in known.search_experiments()]))


def losses(workplace: Path, run_id: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in client(workplace).get_metric_history(run_id, "train/loss")]


def start(folder: Path, *words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "cross_modal_mlflow", "train", *words],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip


@pytest.mark.slow
def test_killed_again_and_again_in_mid_epoch_its_losses_are_those_of_an_unbroken_run(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = str(write_shapes(workplace))
    assert main(["train", "--config", config, *SETTINGS]) == 0
    (whole,) = runs(workplace)
    draw = random.Random(0)
    broken = start(workplace, "--config", config, *SETTINGS)
    run_id, killed = None, 0
    for _ in range(6):
        until = time.monotonic() + 120
        target, seen = draw.randint(2, STEPS - 4), 0
        while broken.poll() is None and seen < target:
            assert time.monotonic() < until
            folders = sorted((workplace / "mlruns" / "checkpoints").glob("*/last.pt"))
            if folders:
                run_id = folders[0].parent.name
                seen = target if time.monotonic() > until - 120 + draw.uniform(0, 6) else 0
            time.sleep(0.01)
        if broken.poll() is not None:
            break
        broken.send_signal(signal.SIGKILL)
        broken.wait()
        killed += 1
        assert client(workplace).get_run(str(run_id)).info.status == "RUNNING"
        broken = start(workplace, "--resume", str(run_id)[:8])
    said = broken.communicate(timeout=120)[0]
    assert broken.returncode == 0, said
    assert killed >= 1
    assert run_id is not None
    assert losses(workplace, run_id) == losses(workplace, whole.info.run_id)
    for name, value in whole.data.metrics.items():
        if not re.search(r"seconds|_second|milliseconds|memory", name):
            assert client(workplace).get_run(run_id).data.metrics[name] == value, name
    assert client(workplace).get_run(run_id).info.status == "FINISHED"
    assert not (workplace / "mlruns" / "checkpoints").exists()
    assert len(runs(workplace)) == 2


@pytest.mark.slow
def test_ctrl_c_says_how_to_go_on_and_that_goes_on(workplace: Path) -> None:
    config = str(write_shapes(workplace))
    longer = [*SETTINGS, "--training.steps", "400"]
    running = start(workplace, "--config", config, *longer)
    until = time.monotonic() + 120
    while not list((workplace / "mlruns").glob("checkpoints/*/last.pt")):
        assert running.poll() is None
        assert time.monotonic() < until
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    said = running.communicate(timeout=60)[0]
    assert running.returncode == 130
    words = re.search(r"go on with: cross-modal train (--resume \w+)", said)
    assert words is not None, said
    (run,) = runs(workplace)
    assert run.info.status == "KILLED"
    again = start(workplace, *words.group(1).split())
    time.sleep(0.1)
    said = again.communicate(timeout=240)[0]
    assert again.returncode == 0, said
    assert re.search(r"resumed after step \d+", said)
    steps = [step for step, _ in losses(workplace, run.info.run_id)]
    assert steps == list(range(1, 401))


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["train", *words]) == 2
    return capsys.readouterr().err.strip().splitlines()[-1]


def test_what_cannot_be_resumed_is_refused_in_one_line(
    workplace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store()
    with tracked_run("train", store, name="done") as done:
        pass
    with tracked_run("evaluate", store, name="no training"):
        pass
    with pytest.raises(KeyboardInterrupt), tracked_run("train", store, name="early"):
        raise KeyboardInterrupt
    assert "expected the id or the name of one run, found none" in refused(capsys, "--resume", "nobody")
    assert "found one that is finished" in refused(capsys, "--resume", done.run_id)
    assert "found one of evaluate" in refused(capsys, "--resume", "no training")
    assert "it ended before its first checkpoint" in refused(capsys, "--resume", "early")


def test_a_run_that_is_still_running_is_left_alone(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = open_store()
    with tracked_run("train", store, name="busy") as busy:
        tags = store.client.get_run(busy.run_id).data.tags
        assert tags[PROCESS] == worker_name()
        assert f"found it running (process {os.getpid()} on" in refused(capsys, "--resume", "busy")
        store.client.set_tag(busy.run_id, PROCESS, "another-machine/0123456789ab:77:200")
        said = refused(capsys, "--resume", "busy")
        assert "process 77 on another-machine" in said
        assert "set the run's status to KILLED" in said


def test_other_settings_than_the_runs_own_are_refused(
    workplace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from cross_modal.training import loop

    config = str(write_shapes(workplace))
    real = loop.Loop._step

    def breaks(self: Any, step: int, parts: Any) -> dict[str, float]:
        if step == 4:
            raise KeyboardInterrupt
        return real(self, step, parts)

    monkeypatch.setattr(loop.Loop, "_step", breaks)
    assert main(["train", "--config", config, *SETTINGS]) == 130
    said = refused(capsys, "--resume", "train items.csv", "--training.seed", "77")
    assert said.endswith("--training.seed 77: expected 1, as the run was started with")
