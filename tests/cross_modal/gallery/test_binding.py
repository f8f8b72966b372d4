import dataclasses
from pathlib import Path

import pytest
import torch
from toys.reference_rows import binding
from toys.tiny_twin import tiny_twin
from toys.verification_models import write_model

from cross_modal.encoders.saved_twin import load_twin, save_twin
from cross_modal.errors import CrossModalError
from cross_modal.gallery.binding import Binding


class TestOf:
    def test_it_outlives_saving(self, tmp_path: Path) -> None:
        twin = tiny_twin()
        save_twin(twin, tmp_path / "model")
        assert Binding.of(load_twin(tmp_path / "model")).digest == Binding.of(twin).digest

    def test_other_weights_are_another_model(self) -> None:
        twin = tiny_twin()
        before = Binding.of(twin)
        with torch.no_grad():
            twin.head.projection.weight[0, 0] += 1e-3
        assert Binding.of(twin).digest != before.digest

    @pytest.mark.parametrize("side", ["image", "text"])
    def test_a_side_less_is_another_model(self, side: str) -> None:
        assert Binding.of(tiny_twin(**{side: "none"})).digest != Binding.of(tiny_twin()).digest

    def test_libraries_and_device_play_no_part(self, monkeypatch: pytest.MonkeyPatch) -> None:
        before = Binding.of(tiny_twin())
        monkeypatch.setattr("cross_modal.encoders.feature_description._versions", lambda: {"torch": "99"})
        assert Binding.of(tiny_twin()).digest == before.digest

    def test_where_it_was_found_plays_no_part(self) -> None:
        here, there = Binding.of(tiny_twin(), "here"), Binding.of(tiny_twin(), "there")
        here.check(there, "refs")
        assert (here.model, there.model) == ("here", "there")

    def test_it_says_how_embeddings_are_compared(self) -> None:
        twin = tiny_twin()
        bound = Binding.of(twin)
        assert (bound.metric, bound.dim, bound.normalise) == (twin.metric, twin.dim, twin.normalise)


class TestOfFolder:
    def test_twin_and_binding(self, tmp_path: Path) -> None:
        twin, bound = Binding.of_folder(write_model(tmp_path / "model"))
        assert bound == Binding.of(twin, str(tmp_path / "model"))

    def test_a_head_that_scores_pairs_is_refused(self, tmp_path: Path) -> None:
        folder = write_model(tmp_path / "model", head=True)
        with pytest.raises(CrossModalError, match="found one whose siamese head scores pairs") as caught:
            Binding.of_folder(folder)
        assert "\n" not in str(caught.value)

    def test_no_model(self, tmp_path: Path) -> None:
        with pytest.raises(CrossModalError, match="expected a saved twin"):
            Binding.of_folder(tmp_path)


class TestCheck:
    def test_another_model_is_named(self) -> None:
        other = dataclasses.replace(binding(digest="3c4d" * 16), model="models:/shoes/2")
        expected = (
            r"^gallery refs: expected the model that made it \(digest 1a2b1a2b…, runs:/7/model\), "
            r"found another \(digest 3c4d3c4d…, models:/shoes/2\)$"
        )
        with pytest.raises(CrossModalError, match=expected):
            binding().check(other, "refs")


class TestDict:
    def test_there_and_back(self) -> None:
        assert Binding.from_dict(binding().to_dict()) == binding()

    def test_what_a_later_version_adds_is_left_aside(self) -> None:
        assert Binding.from_dict({**binding().to_dict(), "later": 1}) == binding()

    @pytest.mark.parametrize("name", ["digest", "metric", "dim", "normalise", "model", "version"])
    def test_what_is_missing_is_named(self, name: str) -> None:
        values = binding().to_dict()
        del values[name]
        with pytest.raises(CrossModalError, match=f"^refs: expected {name} "):
            Binding.from_dict(values, "refs")

    def test_a_metric_that_nobody_knows(self) -> None:
        with pytest.raises(CrossModalError, match='expected the metric "cosine" or "euclidean", found \'dot\''):
            binding("dot")
