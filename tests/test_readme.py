"""Every command that the README shows is run, in the order of the page, on small data and with few steps."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import open_clip
import pytest
from PIL import Image
from safetensors.torch import save_file
from toys.questions import write_questions
from toys.shapes import shapes

from cross_modal_mlflow.command_line import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line.removeprefix("$ ").split("  #")[0].strip()
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    for line in re.sub(r"\\\n\s*", "", block).splitlines()
    if line.startswith("$ ")
]
QUICK = "--training.steps 2 --training.warm-up 1 --batch.classes 6 --evaluation.episodes 5 --evaluation.ways 2"
TRUNKS = "--twin.image.size 16 --twin.image.widths 8 8 --twin.image.pools 2 --twin.width 16 --twin.text.width 16"
TINY = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2},
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the README's commands name."""
    folder = tmp_path_factory.mktemp("project")
    items = shapes(per_class=4)
    rows = ["image,text,label,split"]
    for row, (cell, text, label) in enumerate(zip(items.images, items.texts, items.labels, strict=True)):
        kind = folder / "photos" / label.replace("/", "_")
        kind.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.asarray(cell)).save(kind / f"{row}.png")
        rows.append(f"{(kind / f'{row}.png').relative_to(folder)},{text},{label},{items.splits[row]}")
    (folder / "items.csv").write_text("\n".join(rows) + "\n")
    for name, row in (("one", 0), ("other", 1), ("third", 5), ("copyright", 40), ("at_most", 50)):
        Image.fromarray(np.asarray(items.images[row])).save(folder / f"{name}.png")
    write_questions(folder / "questions.csv", pairs=400)
    (folder / "experiment.yaml").write_text("data: items.csv\ntraining: {steps: 2}\n")
    random = np.random.default_rng(0)
    centres, labels = random.normal(size=(5, 16)), np.repeat(np.arange(5), 8)
    rows_of = {name: (centres[labels] + random.normal(size=(40, 16))).astype(np.float32) for name in ("train", "test")}
    np.savez(
        folder / "features.npz",
        train_features=rows_of["train"],
        train_labels=labels,
        test_features=rows_of["test"],
        test_labels=labels,
    )
    (folder / "configs").mkdir()
    (folder / "configs" / "tiny-readme.json").write_text(json.dumps(TINY))  # stands for ViT-B-32
    open_clip.add_model_config(folder / "configs")
    save_file(open_clip.create_model("tiny-readme").state_dict(), folder / "ViT-B-32.safetensors")
    return folder


def test_the_readme_shows_commands() -> None:
    assert "make demo" in COMMANDS
    assert "make test" in COMMANDS
    assert sum(command.startswith("cross-modal ") for command in COMMANDS) >= 6


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    shown = {command.split()[1] for command in COMMANDS if command.startswith("make ")}
    assert shown <= targets


@pytest.mark.slow
def test_commands_run(project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(project)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    model = ""
    for command in (command for command in COMMANDS if command.startswith(("cross-modal ", "torchrun "))):
        words = [model if "RUN_ID" in word else word for word in shlex.split(command)[1:]]
        if command.startswith("torchrun "):
            several = [sys.executable, "-m", "torch.distributed.run", "--standalone", *words]
            ran = subprocess.run(
                [*several, *shlex.split(f"{QUICK} {TRUNKS}")], check=False, text=True, stderr=subprocess.PIPE
            )
            assert ran.returncode == 0, f"{command}\n{ran.stderr}"
            continue
        words = [word.replace("open_clip:ViT-B-32", "open_clip:tiny-readme") for word in words]
        if words[0] in {"demo", "train"} and "--print_config" not in words:
            words += [] if words[0] == "demo" else ["--explorer", "false"]
            words += shlex.split(QUICK if re.search("open_clip|image.name none", command) else f"{QUICK} {TRUNKS}")
        if words[0] == "index":  # the shapes instead of what the model was trained on
            words += ["--data", "items.csv"]
        if words[0] == "sweep":
            words += ["--trials", "4", "--workers", "1"]  # two processes are the sweep's own tests
            words += [] if "--resume" in words else shlex.split(f"--data items.csv {QUICK} {TRUNKS}")
        code = main(words)
        out, err = capfd.readouterr()
        assert code == 0, f"{command}\n{err}"
        shown = re.search(r"run:\s+([0-9a-f]{32})", out)
        if shown and words[0] in {"demo", "train"}:
            model = f"runs:/{shown.group(1)}/model"
