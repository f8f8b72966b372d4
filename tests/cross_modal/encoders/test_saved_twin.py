"""A saved twin comes back bit for bit, holds no pickle, and a damaged one is named in one line."""

import json
from pathlib import Path

import pytest
import torch

from cross_modal.configuration import ImageTrunkConfig, PoolingConfig, TextTrunkConfig, TwinConfig
from cross_modal.encoders.build import build_twin
from cross_modal.encoders.saved_twin import load_twin, read_card, save_twin
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError

TEXTS = ["greek small letter alpha", "latin capital letter b"]


def twin(text: str = "transformer") -> TwinEncoder:
    config = TwinConfig(
        image=ImageTrunkConfig(widths=[8, 16], pools=2, size=16),
        text=TextTrunkConfig(name=text, width=16, layers=1, heads=2),
        pooling=PoolingConfig(queries=2, heads=2),
        width=16,
    )
    return build_twin(config, TEXTS).eval()


@pytest.mark.parametrize("text", ["transformer", "gru", "none"])
def test_round_trip_is_exact(tmp_path: Path, text: str) -> None:
    before = twin(text)
    save_twin(before, tmp_path / "model", {"scores": {"a": 0.5}})
    after = load_twin(tmp_path / "model")
    pixels = torch.randn(3, 1, 16, 16)
    assert torch.equal(before.encode_image(pixels), after.encode_image(pixels))
    if text != "none":
        unseen = ["greek capital letter alpha"]
        assert torch.equal(
            before.encode_text(before.text.tokenize(unseen)), after.encode_text(after.text.tokenize(unseen))
        )
    assert read_card(tmp_path / "model")["card"] == {"scores": {"a": 0.5}}
    assert not after.training


def test_only_safetensors_and_json_lie_in_the_folder(tmp_path: Path) -> None:
    save_twin(twin(), tmp_path / "model")
    save_twin(twin(), tmp_path / "model")  # replaces
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["model", "model.safetensors", "twin.json"]


def test_missing_and_damaged_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(CrossModalError, match="expected a saved twin"):
        load_twin(tmp_path)
    folder = save_twin(twin(), tmp_path / "model")
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(CrossModalError, match=r"model\.safetensors: expected"):
        load_twin(folder)
    (folder / "twin.json").write_text("{")
    with pytest.raises(CrossModalError, match="expected JSON"):
        load_twin(folder)


def test_other_formats_and_unknown_fields_are_refused(tmp_path: Path) -> None:
    folder = save_twin(twin(), tmp_path / "model")
    description = json.loads((folder / "twin.json").read_text())
    (folder / "twin.json").write_text(json.dumps(description | {"format": 99}))
    with pytest.raises(CrossModalError, match="expected a twin of format 1, found 99"):
        load_twin(folder)
    description["twin"]["wings"] = 2
    (folder / "twin.json").write_text(json.dumps(description))
    with pytest.raises(CrossModalError, match="found wings"):
        load_twin(folder)
