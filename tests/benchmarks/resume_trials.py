"""How a killed training goes on: `kill -9` at random moments, two decoding workers, losses compared bit for bit.

Each trial starts `cross-modal train` in a process of its own, kills it at a random moment after its first checkpoint,
resumes it, and compares every loss with those of an unbroken run. Prints how many trials agree.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from toys.shapes_on_disk import write_shapes

TRIALS, STEPS = 20, 60
SETTINGS = [
    "--training.steps", str(STEPS), "--training.validate-every", "20", "--training.checkpoint-every", "7",
    "--training.log-every", "1", "--items.memory-gigabytes", "0", "--items.workers", "2", "--explorer", "false",
]  # fmt: skip


def start(folder: Path, *words: str) -> subprocess.Popen[bytes]:
    """`cross-modal train`, quiet."""
    command = [sys.executable, "-m", "cross_modal_mlflow", "train", *words]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ)


def losses(folder: Path, run_id: str | None = None) -> list[tuple[int, float]]:
    """Step and loss of a run; of the only one unless given."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{folder}/mlruns/mlflow.db")
    if run_id is None:
        (run,) = client.search_runs([each.experiment_id for each in client.search_experiments()])
        run_id = run.info.run_id
    return [(point.step, point.value) for point in client.get_metric_history(run_id, "train/loss")]


def trial(folder: Path, config: str, draw: random.Random) -> tuple[int, list[tuple[int, float]]]:
    """One killed and resumed run: the step that it was resumed after, and its losses."""
    from cross_modal.training.checkpoint import load_checkpoint

    folder.mkdir()
    running = start(folder, "--config", config, *SETTINGS)
    while not (found := list(folder.glob("mlruns/checkpoints/*/last.pt"))):
        assert running.poll() is None, "it ended before its first checkpoint"
        time.sleep(0.005)
    time.sleep(draw.uniform(0, 0.6))
    running.kill()
    running.wait()
    run_id = found[0].parent.name
    step = load_checkpoint(found[0])["parts"]["progress"]["steps"] if found[0].exists() else STEPS
    if found[0].exists():
        assert start(folder, "--resume", run_id).wait() == 0
    return step, losses(folder, run_id)


def main() -> None:
    """Runs the trials."""
    draw = random.Random(0)
    with tempfile.TemporaryDirectory() as place:
        config = str(write_shapes(Path(place) / "data"))
        whole = Path(place) / "whole"
        whole.mkdir()
        assert start(whole, "--config", config, *SETTINGS).wait() == 0
        wanted, good = losses(whole), 0
        assert len(wanted) == STEPS
        for number in range(TRIALS):
            step, found = trial(Path(place) / f"trial {number}", config, draw)
            good += found == wanted
            print(f"trial {number + 1:2d}: resumed after step {step:2d}, "
                  f"{'the same losses' if found == wanted else 'OTHER LOSSES'}", flush=True)  # fmt: skip
        print(f"{good} of {TRIALS} killed trainings had the losses of the unbroken one, bit for bit")


if __name__ == "__main__":
    main()
