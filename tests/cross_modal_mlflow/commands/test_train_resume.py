"""`train --resume`: a run that was killed goes on as if it had not been, in the same MLflow run."""

import json
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
from toys.pairs_on_disk import write_pairs, write_triplets
from toys.shapes_on_disk import write_shapes

from cross_modal_mlflow.command_line import main
from cross_modal_mlflow.store import open_store
from cross_modal_mlflow.sweep.worker_process import worker_name
from cross_modal_mlflow.tracking import PROCESS, tracked_run

STEPS = 24
TINY = """\
twin: {width: 32, image: {widths: [8, 8, 8], pools: 3}, text: {width: 32, layers: 1, heads: 2}}
batch: {classes: 16}
training: {steps: 3, validate_every: 2, warm_up: 1, log_every: 2}
evaluation: {episodes: 20}
"""
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
    longer = [*SETTINGS, "--training.steps", "150"]
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
    assert steps == list(range(1, 151))


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


def breaks_after(monkeypatch: pytest.MonkeyPatch, steps: int, error: BaseException) -> None:
    """Lets every training die after some steps, until the patch is undone."""
    from cross_modal.training import loop

    real = loop.Loop._step

    def breaks(self: Any, step: int, inputs: Any) -> dict[str, float]:
        if step == steps:
            raise error
        return real(self, step, inputs)

    monkeypatch.setattr(loop.Loop, "_step", breaks)


class Died(BaseException):
    """Ends a process as no error of its own would."""


def histories(workplace: Path, run_id: str) -> dict[str, list[tuple[int, float]]]:
    """All points of all metrics that do not tell of time or memory."""
    known = client(workplace)
    names = [name for name in known.get_run(run_id).data.metrics if not re.search(r"seconds|_second|peak_memory", name)]
    found = {name: [(each.step, each.value) for each in known.get_metric_history(run_id, name)] for name in names}
    return {name: sorted(points) for name, points in found.items()}


def tables(workplace: Path, run_id: str) -> dict[str, Any]:
    """The tables of a run, pictures left out."""
    run = client(workplace).get_run(run_id)
    place = Path(run.info.artifact_uri.removeprefix("file://"))
    listed = json.loads(run.data.tags.get("mlflow.loggedArtifacts", "[]"))
    found = {each["path"]: json.loads((place / each["path"]).read_text()) for each in listed}
    return {name: re.sub(r"table_images/[^\"]*", "", json.dumps(table)) for name, table in found.items()}


def test_other_settings_than_the_runs_own_are_refused(
    workplace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = str(write_shapes(workplace))
    breaks_after(monkeypatch, 4, KeyboardInterrupt())
    assert main(["train", "--config", config, *SETTINGS]) == 130
    said = refused(capsys, "--resume", "train items.csv", "--training.seed", "77")
    assert said.endswith("--training.seed 77: expected 1, as the run was started with")
    said = refused(capsys, "--resume", "train items.csv", "--training.warm-up", "60")  # what it is by default
    assert said.endswith("--training.warm_up 60: expected 2, as the run was started with")
    said = refused(capsys, "--resume", "train items.csv", "--objective.miner", "AngularMiner")
    assert "--objective.miner" in said
    assert said.endswith("expected None, as the run was started with")
    monkeypatch.undo()
    monkeypatch.chdir(workplace)
    assert main(["train", "--resume", "train items.csv", "--config", config, *SETTINGS, "--training.seed", "1"]) == 0


def test_nobody_else_goes_on_with_a_run_that_is_being_resumed(
    workplace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from cross_modal_mlflow.resumed_run import alone, resumed_run

    breaks_after(monkeypatch, 4, KeyboardInterrupt())
    assert main(["train", "--config", str(write_shapes(workplace)), *SETTINGS]) == 130
    (run,) = runs(workplace)
    with alone(resumed_run(open_store(), run.info.run_id)):
        assert "found another process resuming it" in refused(capsys, "--resume", run.info.run_id)
    client(workplace).delete_run(run.info.run_id)
    assert "found a deleted one" in refused(capsys, "--resume", run.info.run_id)


def test_of_runs_of_one_name_the_one_that_is_not_finished_is_meant(workplace: Path) -> None:
    from cross_modal.errors import CrossModalError
    from cross_modal_mlflow.resumed_run import resumed_run

    store = open_store()
    with tracked_run("train", store, name="same"):
        pass
    with pytest.raises(ValueError, match="broken"), tracked_run("train", store, name="same"):
        raise ValueError("broken")
    with pytest.raises(CrossModalError, match="it ended before its first checkpoint"):
        resumed_run(store, "same")
    with pytest.raises(ValueError, match="broken"), tracked_run("train", store, name="same"):
        raise ValueError("broken")
    with pytest.raises(CrossModalError, match=r"id or the name of one run, found \w{12}, \w{12}$"):
        resumed_run(store, "same")


PLACES = (
    "pipeline.measure_test",  # all steps done
    "pipeline.log_calibration",  # the model is logged
    "explorer_evidence.log_map",  # its gallery is written
    "evidence.confusion_table",  # one table of two is logged
)


def test_a_process_that_dies_after_the_last_step_leaves_nothing_twice(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["train", "--config", str(write_shapes(workplace)), *SETTINGS[:-2], "--training.steps", "8"]
    assert main(words) == 0
    (whole,) = runs(workplace)
    expected = histories(workplace, whole.info.run_id), tables(workplace, whole.info.run_id)
    gallery = len(list(Path(whole.data.tags["cross_modal.gallery"]).rglob("*")))
    assert all(expected)

    def dies(*given: Any, **named: Any) -> None:
        raise Died

    before = {whole.info.run_id}
    for place in PLACES:
        with monkeypatch.context() as patched:
            patched.setattr(f"cross_modal_mlflow.{place}", dies)
            with pytest.raises(Died):
                main(words)
        (run_id,) = {each.info.run_id for each in runs(workplace)} - before
        before.add(run_id)
        assert main(["train", "--resume", run_id]) == 0
        assert (histories(workplace, run_id), tables(workplace, run_id)) == expected, place
        again = client(workplace).get_run(run_id)
        (output,) = again.outputs.model_outputs
        assert str(client(workplace).get_logged_model(output.model_id).status) == "READY"
        assert len(list(Path(again.data.tags["cross_modal.gallery"]).rglob("*"))) == gallery
        assert not (workplace / "mlruns" / "checkpoints").exists()


HALF_A_MODEL = """
import os, signal, sys
import cross_modal_mlflow
from cross_modal_mlflow.command_line import main
real = cross_modal_mlflow.save_model
def dies(*given, **named):
    real(*given, **named)
    os.kill(os.getpid(), signal.SIGKILL)
cross_modal_mlflow.save_model = dies
main(sys.argv[1:])
"""


@pytest.mark.slow
def test_half_a_model_is_replaced_and_what_was_to_happen_at_the_end_happens(workplace: Path) -> None:
    config = str(write_shapes(workplace))
    words = ["train", "--config", config, *SETTINGS, "--training.steps", "8", "--register", "birds"]
    dead = subprocess.run([sys.executable, "-c", HALF_A_MODEL, *words], cwd=workplace, check=False)
    assert dead.returncode == -signal.SIGKILL
    (run,) = runs(workplace)
    assert run.info.status == "RUNNING"
    (half,) = client(workplace).search_logged_models([run.info.experiment_id])
    assert str(half.status) == "PENDING"
    client(workplace).update_run(run.info.run_id, name="my birds")
    assert main(["train", "--resume", "my birds"]) == 0
    (run,) = runs(workplace)
    assert (run.info.status, run.info.run_name) == ("FINISHED", "my birds")
    (model,) = client(workplace).search_logged_models([run.info.experiment_id])
    assert str(model.status) == "READY"
    assert model.model_id != half.model_id
    assert client(workplace).get_model_version_by_alias("birds", "champion").run_id == run.info.run_id
    assert "cross_modal.gallery" not in run.data.tags  # --explorer false was asked for at the start


@pytest.mark.parametrize("of", ["pairs", "triplets"])
def test_a_run_on_pairs_goes_on(workplace: Path, monkeypatch: pytest.MonkeyPatch, of: str) -> None:
    config = str(write_pairs(workplace))
    if of == "triplets":
        write_triplets(workplace)
    words = ["train", "--config", config, "--data", str(workplace / f"{of}.csv")]
    assert main(words) == 0
    (whole,) = runs(workplace)
    with monkeypatch.context() as patched:
        breaks_after(patched, 4, Died())
        with pytest.raises(Died):
            main(words)
    (broken,) = [each for each in runs(workplace) if each.info.run_id != whole.info.run_id]
    assert main(["train", "--resume", broken.info.run_id[:10]]) == 0
    assert histories(workplace, broken.info.run_id) == histories(workplace, whole.info.run_id)
    assert tables(workplace, broken.info.run_id) == tables(workplace, whole.info.run_id)


def test_a_demo_goes_on_as_a_demo(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("tiny.yaml").write_text(TINY)
    with monkeypatch.context() as patched:
        breaks_after(patched, 2, Died())
        with pytest.raises(Died):
            main(["demo", "--config", "tiny.yaml", "--explorer", "false"])
    assert main(["train", "--resume", "demo glyphs"]) == 0
    (run,) = runs(workplace)
    assert (run.info.status, run.info.run_name, run.data.tags["cross_modal.command"]) == (
        "FINISHED", "demo glyphs", "demo",
    )  # fmt: skip
    assert [step for step, _ in losses(workplace, run.info.run_id)] == [1, 3]


def test_a_disk_that_fills_up_ends_the_run_with_words_and_it_goes_on_when_there_is_room(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real, writes = os.fsync, []

    def full(handle: int) -> None:
        writes.append(handle)
        if len(writes) > 3:
            raise OSError(28, "No space left on device")
        real(handle)

    words = ["train", "--config", str(write_shapes(workplace)), *SETTINGS, "--training.checkpoint-every", "2"]
    with monkeypatch.context() as patched:
        patched.setattr("cross_modal.training.checkpoint.os.fsync", full)
        assert main(words) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    (run,) = runs(workplace)
    assert "best.pt: the checkpoint could not be written" in said
    assert said.endswith(f"go on with: cross-modal train --resume {run.info.run_id}")
    assert main(["train", "--resume", run.info.run_id]) == 0
    assert [step for step, _ in losses(workplace, run.info.run_id)] == list(range(1, STEPS + 1))
