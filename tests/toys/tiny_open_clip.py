"""A model that open_clip can build, with random weights on disk: what a pretrained one is to the code."""

import json
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import torch
from toys.shapes import experiment

from cross_modal.configuration import Experiment, ImageTrunkConfig, TextTrunkConfig

NAME = "tiny-partial"
MODEL = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 16, "layers": 3, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 3},
}


@cache
def weights() -> str:
    """The weight file; made once a process."""
    import open_clip

    folder = Path(mkdtemp(prefix="tiny-open-clip-"))
    (folder / "configs").mkdir()
    (folder / "configs" / f"{NAME}.json").write_text(json.dumps(MODEL))
    open_clip.add_model_config(folder / "configs")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        torch.save(open_clip.create_model(NAME).state_dict(), folder / "weights.pt")
    return str(folder / "weights.pt")


def open_clip_experiment(**training: object) -> Experiment:
    """Settings for a twin on that model."""
    settings = experiment(**training)
    settings.twin.image = ImageTrunkConfig(name=f"open_clip:{NAME}", pretrained=weights(), channels=3)
    settings.twin.text = TextTrunkConfig(name=f"open_clip:{NAME}", pretrained=weights())
    settings.health.stop_on_collapse = False  # random weights tell shapes apart badly
    return settings
