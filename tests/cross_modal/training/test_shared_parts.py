"""Shared parts make trainings quicker and change no number: trunks, pictures, splits and features are made once."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from toys.shapes import SIDE, experiment, shapes

from cross_modal.configuration import Experiment
from cross_modal.data import pictures as pictures_module
from cross_modal.data.decode import BadImage, decode
from cross_modal.data.items import Items
from cross_modal.encoders import build
from cross_modal.encoders.feature_store import FeatureStore
from cross_modal.training.checkpoint import load_checkpoint
from cross_modal.training.loop import BEST, TrainingResult, train
from cross_modal.training.shared_parts import SharedParts
from cross_modal.training.validation import SCORE, Validation


def frozen(**training: object) -> Experiment:
    settings = experiment(**training)
    settings.twin.freeze = "trunk"
    settings.augmentation.views = 2
    settings.health.stop_on_collapse = False  # random trunks tell these shapes apart badly
    return settings


def as_files(items: Items) -> Items:
    """The same items with encoded pictures, which have to be decoded."""

    def png(cell: np.ndarray) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(cell).resize((SIDE + 4, SIDE + 4)).save(buffer, "PNG")
        return buffer.getvalue()

    return Items.of(
        images=[png(cell) for cell in items.images],
        texts=items.texts,
        labels=items.labels,
        splits=items.splits,
        source="shapes",
    )


def same_weights(one: TrainingResult, other: TrainingResult) -> bool:
    a, b = one.twin.state_dict(), other.twin.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    cells: list[object] = []
    monkeypatch.setattr(
        pictures_module, "decode", lambda cell, **options: (cells.append(cell), decode(cell, **options))[1]
    )
    return cells


@pytest.mark.parametrize("settings", [experiment(), frozen()], ids=["from scratch", "frozen"])
def test_a_training_gives_the_same_weights_alone_and_among_others(settings: Experiment, tmp_path: Path) -> None:
    items, shared = shapes(per_class=4), SharedParts()
    alone = train(settings, items, folder=tmp_path)
    first, second = (train(settings, items, folder=tmp_path, shared=shared) for _ in range(2))
    assert same_weights(alone, first)
    assert same_weights(alone, second)
    assert alone.best_score == first.best_score == second.best_score


def test_the_head_follows_its_own_settings_on_a_shared_trunk(tmp_path: Path) -> None:
    items, shared = shapes(per_class=4), SharedParts()
    train(frozen(), items, folder=tmp_path, shared=shared)
    other = frozen()
    other.twin.pooling.queries = 1
    assert same_weights(train(other, items, folder=tmp_path, shared=shared), train(other, items, folder=tmp_path))


def test_frozen_trunks_are_built_once_and_others_every_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    original = build.build_image_trunk
    monkeypatch.setattr(build, "build_image_trunk", lambda *given: (made.append("image"), original(*given))[1])
    items, shared = shapes(per_class=4), SharedParts()
    results = [train(frozen(), items, folder=tmp_path, shared=shared) for _ in range(2)]
    assert len(made) == 1
    assert results[0].twin.image is results[1].twin.image
    assert results[0].twin.head is not results[1].twin.head
    train(frozen(seed=2), items, folder=tmp_path, shared=shared)
    assert len(made) == 2, "random weights are another trunk with another seed"
    for _ in range(2):
        train(experiment(steps=1), items, folder=tmp_path, shared=shared)
    assert len(made) == 4, "trunks that learn are never shared"


def test_from_scratch_the_random_numbers_run_on_behind_the_trunks() -> None:
    settings, texts = experiment().twin, ["bar size 3", "box size 4"]
    torch.manual_seed(5)
    built = build.build_twin(settings, texts)
    shared = SharedParts.alone().twin(settings, texts, 5, torch.device("cpu"))
    for name, weights in built.state_dict().items():
        assert torch.equal(weights, shared.state_dict()[name]), name


def test_pictures_are_decoded_once_for_all_processes(tmp_path: Path, decoded: list[object]) -> None:
    items = as_files(shapes(per_class=4))
    visible = sum(split != "test" for split in items.splits)
    results = [
        train(experiment(), items, folder=tmp_path, shared=SharedParts(tmp_path / "store")) for _ in range(2)
    ]  # new parts each time, as another process has
    assert len(decoded) == visible
    assert same_weights(results[0], train(experiment(), items, folder=tmp_path))


def test_pictures_at_another_size_or_with_other_content_are_others(tmp_path: Path, decoded: list[object]) -> None:
    items = as_files(shapes(per_class=2)).split("train")
    settings = experiment()
    twin = build.build_twin(settings.twin, ["bar"])

    def pixels(items: Items) -> torch.Tensor:
        opened = SharedParts(tmp_path).pictures(items, twin, settings.items)
        opened.prepare()
        return opened.pixels([0, 1])

    first = pixels(items)
    assert pixels(items.take([1, 0])).tolist() == first.flip(0).tolist()
    twin.image.size = 8
    assert pixels(items).shape[-1] == 8
    assert len(decoded) == 2 * len(items) + 2
    pixels(items)
    assert len(decoded) == 2 * len(items) + 2


def test_a_broken_picture_is_named_by_its_row_and_nothing_is_kept(tmp_path: Path) -> None:
    items = as_files(shapes(per_class=2))
    items.images[3] = b"broken"
    for _ in range(2):
        with pytest.raises(BadImage, match="shapes item 4: image of 6 bytes is unreadable"):
            train(experiment(), items, folder=tmp_path, shared=SharedParts(tmp_path / "store"))


@pytest.mark.parametrize("switch", ["variable", "setting"])
def test_switched_off_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, switch: str) -> None:
    settings, root = experiment(steps=1), tmp_path / "store"
    monkeypatch.setenv("CROSS_MODAL_CACHE", "off" if switch == "variable" else str(root))
    settings.items.feature_store = switch == "variable"
    train(settings, as_files(shapes(per_class=2)), folder=tmp_path / "run", shared=SharedParts())
    assert not list(root.rglob("*.npy"))


def test_features_are_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    original = FeatureStore.entry
    monkeypatch.setattr(FeatureStore, "entry", lambda self, about: (opened.append(about), original(self, about))[1])
    items, shared = shapes(per_class=4), SharedParts()
    results = [train(frozen(), items, folder=tmp_path, shared=shared) for _ in range(2)]
    assert [about["modality"] for about in opened] == ["image", "text"]
    assert any(": 0 encoded" in message for message in results[1].messages)
    assert not any(": 0 encoded" in message for message in results[0].messages)


def test_a_checkpoint_on_a_frozen_trunk_holds_what_learned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = iter([0.9, 0.1])
    monkeypatch.setattr(Validation, "measure", lambda self, twin: {SCORE: next(scores)})
    result = train(frozen(), shapes(per_class=4), folder=tmp_path)
    saved = load_checkpoint(tmp_path / BEST)["twin"]
    assert result.best_step == 3
    assert saved
    assert not any(name.startswith(("image.", "text.")) for name in saved)
    assert all(torch.equal(saved[name], result.twin.state_dict()[name]) for name in saved)
