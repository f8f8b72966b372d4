"""A small open_clip model in all the forms in which a user may have it on disk, and a network that is cut."""

import json
import socket
from pathlib import Path
from types import SimpleNamespace

import open_clip
import pytest
import torch
from safetensors.torch import save_file

TINY = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 32, "layers": 3, "width": 64, "head_width": 32, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 3},
}
PREPROCESSING = {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6], "resize_mode": "squash", "interpolation": "bilinear"}


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """`name` of a small model that open_clip knows, the `model` itself, and its weights on disk."""
    root: Path = tmp_path_factory.mktemp("tiny")
    (root / "configs").mkdir()
    (root / "configs" / "tiny-cross-modal.json").write_text(json.dumps(TINY))
    open_clip.add_model_config(root / "configs")
    torch.manual_seed(0)
    model = open_clip.create_model("tiny-cross-modal").eval()
    folder = root / "folder"
    folder.mkdir()
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": TINY, "preprocess_cfg": PREPROCESSING}))
    save_file(model.state_dict(), root / "weights.safetensors")
    torch.save(model.state_dict(), root / "weights.pt")
    return SimpleNamespace(
        name="tiny-cross-modal",
        model=model,
        safetensors=str(root / "weights.safetensors"),
        pt=str(root / "weights.pt"),
        folder=str(folder),
        cfg=TINY,
        preprocessing=PREPROCESSING,
    )


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any attempt to connect fails the test."""

    def connect(*_: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket, "getaddrinfo", connect)


class Hostile:
    """A pickle that writes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return (Path.write_text, (self.path, "owned"))


@pytest.fixture
def hostile(tmp_path: Path) -> SimpleNamespace:
    """`path` of a checkpoint whose loading writes `trace`."""
    torch.save({"state_dict": Hostile(tmp_path / "trace")}, tmp_path / "hostile.pt")
    return SimpleNamespace(path=str(tmp_path / "hostile.pt"), trace=tmp_path / "trace")
