"""A match explained: it agrees with the twin, for all pairs of modalities, and with a pretrained embedding."""

from __future__ import annotations

import json
from itertools import product

import numpy as np
import pytest
import torch
from toys.tiny_twin import tiny_twin

from cross_modal.configuration import ImageTrunkConfig, PoolingConfig, TextTrunkConfig, TwinConfig
from cross_modal.data.decode import BadImage
from cross_modal.encoders.build import build_twin
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError
from cross_modal.explanation.faithfulness import check_match, check_side
from cross_modal.explanation.match import MatchExplanation, Side, explain_match

GENERATOR = np.random.default_rng(0)
PICTURES = [GENERATOR.integers(0, 256, (20, 30), dtype=np.uint8) for _ in range(2)]
SIDES = {
    "image": (Side(PICTURES[0]), Side(PICTURES[1])),
    "text": (Side(text="Greek small letter alpha"), Side(text="latin letter b")),
}
BOTH = list(product(["image", "text"], repeat=2))


@pytest.fixture(scope="module")
def residual(tmp_path_factory: pytest.TempPathFactory) -> TwinEncoder:
    """A twin on an open_clip model, with its gate open."""
    open_clip = pytest.importorskip("open_clip")
    cfg = {
        "embed_dim": 32,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "head_width": 32, "patch_size": 8},
        "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 1},
    }
    folder = tmp_path_factory.mktemp("configs")
    (folder / "tiny-explained.json").write_text(json.dumps(cfg))
    open_clip.add_model_config(folder)
    config = TwinConfig(
        image=ImageTrunkConfig(name="open_clip:tiny-explained"),
        text=TextTrunkConfig(name="open_clip:tiny-explained"),
        pooling=PoolingConfig(queries=2, heads=2),
        width=16,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        twin = build_twin(config).eval()
    assert twin.residual_gate is not None
    twin.residual_gate.data.fill_(0.5)
    return twin


def check(twin: TwinEncoder, match: MatchExplanation, a: Side, b: Side) -> None:
    for side, explained in ((a, match.a), (b, match.b)):
        assert explained.modality == side.modality
        assert explained.weights.sum() == pytest.approx(1, abs=1e-5)
        np.testing.assert_allclose(explained.query_weights.mean(0), explained.weights, atol=1e-6)
        assert explained.inside == pytest.approx(float(explained.weights[explained.shown].sum()), abs=1e-6)
        assert (explained.attention is None) == (side.modality == "text")
        assert (explained.spans is None) == (side.modality == "image")
        if explained.spans is not None:
            assert len(explained.spans) == len(explained.weights)
        if explained.attention is not None:
            assert explained.attention.inside == pytest.approx(explained.inside, abs=1e-6)
    assert match.similarities.shape == (len(match.a.shown), len(match.b.shown))
    ends = torch.from_numpy(np.stack([match.a.embedding, match.b.embedding]))
    assert match.score == pytest.approx(float(twin.score(ends[:1], ends[1:])), abs=1e-6)


@pytest.mark.parametrize(("first", "second"), BOTH)
@pytest.mark.parametrize("normalise", [True, False])
def test_any_two_sides(first: str, second: str, normalise: bool) -> None:
    twin = tiny_twin()
    twin.normalise = normalise
    a, b = SIDES[first][0], SIDES[second][1]
    match = explain_match(twin, a, b, steps=4, threshold=0.1)
    check(twin, match, a, b)
    assert match.a.coverage == match.b.coverage == 1
    assert match.margin == pytest.approx(match.score - 0.1)
    if normalise:
        assert np.abs(match.similarities).max() <= 1 + 1e-5
    found = json.loads(json.dumps(match.to_dict(), allow_nan=False))
    assert found["metric"] == twin.metric
    assert np.shape(found["similarities"]) == match.similarities.shape


def test_swapping_the_sides_swaps_the_explanation() -> None:
    twin = tiny_twin()
    a, b = SIDES["image"][0], SIDES["text"][0]
    there, back = explain_match(twin, a, b), explain_match(twin, b, a)
    assert there.score == pytest.approx(back.score, abs=1e-6)
    np.testing.assert_allclose(there.similarities, back.similarities.T, atol=1e-6)
    np.testing.assert_allclose(there.a.effects, back.b.effects, atol=1e-6)
    assert {(link.a, link.b) for link in there.links} == {(link.b, link.a) for link in back.links}


def test_the_words_are_those_that_were_typed() -> None:
    match = explain_match(tiny_twin(), SIDES["text"][0], SIDES["image"][0])
    assert [word for word, _, _ in match.a.words] == ["Greek", "small", "letter", "alpha"]
    assert sum(weight for _, weight, _ in match.a.words) == pytest.approx(1, abs=1e-5)
    assert match.a.contributions is not None
    assert match.a.contributions.shape == (4,)


@pytest.mark.parametrize(("first", "second"), BOTH)
def test_a_pretrained_embedding_is_told_from_what_the_pooling_adds(
    residual: TwinEncoder, first: str, second: str
) -> None:
    a, b = SIDES[first][0], SIDES[second][1]
    match = explain_match(residual, a, b, steps=4)
    check(residual, match, a, b)
    assert 0 < match.a.coverage < 1
    if first == "image":
        assert match.a.attention is not None
        assert match.a.attention.mean.shape == (4, 4)
        assert match.a.inside < 1  # the class token is no place
        assert len(match.a.shown) == 16
        assert len(match.a.weights) == 17
    else:
        assert match.a.spans is not None
        assert match.a.spans.pieces[0] == "<start_of_text>"
        assert [word for word, _, _ in match.a.words] == ["greek", "small", "letter", "alpha"]
        assert 0 not in match.a.shown


def test_a_closed_gate_means_that_no_map_covers_anything(residual: TwinEncoder) -> None:
    gate = residual.residual_gate
    assert gate is not None
    gate.data.fill_(0)
    try:
        match = explain_match(residual, SIDES["image"][0], SIDES["text"][0], steps=4)
    finally:
        gate.data.fill_(0.5)
    assert match.a.coverage == match.b.coverage == 0
    np.testing.assert_allclose(match.a.effects, 0, atol=1e-6)
    assert match.a.contributions is not None
    assert np.abs(match.a.contributions).max() > 0  # these go through the pretrained embedding too


def test_a_trunk_without_places_has_no_map_and_says_why() -> None:
    twin = tiny_twin()
    assert twin.image is not None
    twin.image.prefix_tokens = None
    match = explain_match(twin, SIDES["image"][0], SIDES["text"][0], steps=0)
    assert match.a.attention is None
    assert "places" in match.a.note
    assert match.a.contributions is None
    assert "map" not in match.to_dict()["a"]


def test_the_mode_of_the_twin_comes_back() -> None:
    twin = tiny_twin().train()
    explain_match(twin, SIDES["image"][0], SIDES["text"][0], steps=1)
    assert twin.training
    explain_match(twin.eval(), SIDES["image"][0], SIDES["text"][0], steps=1)
    assert not twin.training


def test_sides_that_cannot_be_explained() -> None:
    with pytest.raises(CrossModalError, match="found neither"):
        Side()
    with pytest.raises(CrossModalError, match="found both"):
        Side(PICTURES[0], "a text")
    with pytest.raises(BadImage, match=r"nowhere.png"):
        explain_match(tiny_twin(), Side("nowhere.png"), SIDES["text"][0])
    with pytest.raises(CrossModalError, match=r"^text 'a': expected a twin with a text trunk"):
        explain_match(tiny_twin(text="none"), SIDES["image"][0], Side(text="a"))
    with pytest.raises(CrossModalError, match=r"^image array: expected a twin with an image trunk"):
        explain_match(tiny_twin(image="none"), SIDES["image"][0], Side(text="a"))


@pytest.mark.parametrize("text", ["", " ", "alpha", "ω"])
def test_texts_of_next_to_nothing(text: str) -> None:
    twin = tiny_twin()
    match = explain_match(twin, Side(text=text), SIDES["text"][0])
    check(twin, match, Side(text=text), SIDES["text"][0])
    assert check_side(twin, Side(text=text), match.a, match.b.embedding) == {}
    json.dumps(match.to_dict(), allow_nan=False)


def test_contributions_beat_chance_and_every_explanation_is_checked() -> None:
    """Of random twins too: contributions are a property of the whole model, trained or not."""
    gaps = []
    for seed in range(4):
        twin = tiny_twin(seed=seed)
        a, b = SIDES["image"][0], SIDES["text"][0]
        match = explain_match(twin, a, b)
        of_a, of_b = check_match(twin, a, b, match)
        assert set(of_a) == set(of_b) == {"weights", "effects", "contributions"}
        for each in (*of_a.values(), *of_b.values()):
            assert each.pointed[0] == pytest.approx(match.score, abs=1e-5)
            assert each.random[0] == pytest.approx(match.score, abs=1e-5)
        gaps += [of_a["contributions"].gap, of_b["contributions"].gap]
    assert min(gaps) > 0


def test_the_explanation_of_another_modality_is_refused() -> None:
    twin = tiny_twin()
    match = explain_match(twin, SIDES["image"][0], SIDES["text"][0], steps=0)
    with pytest.raises(CrossModalError, match="found one of a text"):
        check_side(twin, SIDES["image"][0], match.b, match.a.embedding)
