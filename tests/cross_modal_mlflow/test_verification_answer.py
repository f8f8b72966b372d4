"""Answers about two items, and about one and its references."""

from pathlib import Path

import pytest
from toys.tiny_twin import tiny_twin
from toys.verification_models import write_model, write_picture

from cross_modal.configuration import DataConfig
from cross_modal.data.items import Items
from cross_modal.errors import CrossModalError
from cross_modal.verification.pair_embedding import embed_pair_items
from cross_modal.verification.pair_scorer import PairScorer
from cross_modal_mlflow.verification_answer import UNCALIBRATED, Verifier

WORDS = ["a cat", "a dog", "an owl"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "twin")


@pytest.fixture
def verifier(model: Path) -> Verifier:
    return Verifier.load(model)


def texts(*words: str) -> Items:
    return Items.of(texts=words)


class TestTwoItems:
    def test_the_answer_has_all_that_a_decision_needs(self, verifier: Verifier) -> None:
        answer = verifier.answer(texts("a cat", "a cat"))
        assert answer.score == pytest.approx(1)
        assert (answer.same, answer.comparison) == (True, "text_text")
        assert answer.threshold == pytest.approx(0.5)
        assert answer.probability is not None
        assert answer.probability > 0.9
        assert answer.prior == 0.5
        assert answer.false_accept is not None
        assert answer.false_accept.high > answer.false_accept.value == 0
        same, score, threshold, probability, errors = answer.lines()
        assert same == "same"
        assert score == "score        1.0000   text against text"
        assert threshold == "threshold    0.5000   false accepts of at most 1 %"
        assert probability.endswith("% that they are the same, where 50 % of pairs are")
        assert "different taken for the same: 0.0 % (0.0–" in errors

    def test_what_the_twin_cannot_see_is_named_as_the_user_knows_it(self, tmp_path: Path) -> None:
        def reader(text: str) -> Verifier:
            twin = tiny_twin("conv4" if text == "none" else "none", text)
            return Verifier(twin, PairScorer(twin.metric), None)

        picture = str(write_picture(tmp_path / "a.png"))
        with pytest.raises(
            CrossModalError, match=r"^B: expected a picture, .* found the text 'a cat' \(.*--image-b FILE"
        ):
            reader("none").answer(Items.of(images=[picture, None], texts=[None, "a cat"]))
        with pytest.raises(
            CrossModalError, match=r"^A: expected a text, which is what this twin compares, found a picture"
        ):
            reader("transformer").answer(Items.of(images=[picture, None], texts=[None, "a cat"]))
        three = Items.of(images=[picture, picture, None], texts=[None, None, "a cat"])
        with pytest.raises(CrossModalError, match=r"^reference a cat: expected a picture, .* found the text 'a cat'$"):
            reader("none").answer_by_references(three, [picture, "a cat"])

    def test_the_order_does_not_matter_to_the_last_bit(self, verifier: Verifier) -> None:
        assert verifier.answer(texts("a cat", "a dog")) == verifier.answer(texts("a dog", "a cat"))

    def test_each_comparison_has_its_own_threshold(self, verifier: Verifier, tmp_path: Path) -> None:
        picture = str(write_picture(tmp_path / "a.png"))
        across = verifier.answer(Items.of(images=[picture, None], texts=[None, "a cat"]))
        assert (across.comparison, across.threshold) == ("picture_text", pytest.approx(0, abs=1e-9))
        alike = verifier.answer(Items.of(images=[picture, picture]))
        assert (alike.threshold, alike.same) == (pytest.approx(0.9), True)

    def test_a_stricter_rate_moves_the_threshold(self, model: Path) -> None:
        asked = Verifier.load(model, false_accept_rate=0.5)
        answer = asked.answer(texts("a cat", "a dog"))
        assert answer.threshold is not None
        assert answer.threshold < 0.5
        assert answer.chosen_by == "false accepts of at most 50 %"

    def test_a_model_without_calibration_gives_the_score_and_says_so(self, tmp_path: Path) -> None:
        verifier = Verifier.load(write_model(tmp_path / "twin", thresholds={}))
        answer = verifier.answer(texts("a cat", "a dog"))
        assert (answer.same, answer.threshold, answer.notes) == (None, None, [UNCALIBRATED])
        assert len(answer.lines()) == 1
        assert set(answer.metrics()) == {"verification/score"}
        with pytest.raises(CrossModalError, match="--false-accept-rate: the model has no calibration"):
            Verifier.load(tmp_path / "twin", false_accept_rate=0.1)

    def test_a_head_scores_where_there_is_one(self, tmp_path: Path) -> None:
        verifier = Verifier.load(write_model(tmp_path / "twin", head=True))
        head = verifier.scorer.head
        assert head is not None
        embedded = embed_pair_items(verifier.twin, texts("a cat", "a dog"), DataConfig())
        assert verifier.answer(texts("a cat", "a dog")).score == pytest.approx(
            verifier.scorer.score(embedded[:1], embedded[1:])[0]
        )
        assert verifier.answer(texts("a cat", "a cat")).score == pytest.approx(2)  # its bias


class TestReferences:
    def test_ways_of_taking_several(self, verifier: Verifier) -> None:
        single = [verifier.answer(texts(WORDS[0], word)).score for word in WORDS]
        mean = verifier.answer_by_references(texts(WORDS[0], *WORDS), WORDS)
        best = verifier.answer_by_references(texts(WORDS[0], *WORDS), WORDS, "best")
        assert mean.score == pytest.approx(sum(single) / 3)
        assert best.score == pytest.approx(max(single))
        assert mean.false_accept is not None
        assert best.false_accept is not None
        assert best.false_accept.high > mean.false_accept.high

    def test_identity_moves_the_threshold_where_identities_are_known(self, verifier: Verifier) -> None:
        with pytest.raises(CrossModalError, match="needs 2 references or more, found 1"):
            verifier.answer_by_references(texts("a cat", "a dog"), ["a dog"], "identity")

    def test_a_reference_unlike_its_fellows_is_named(self, tmp_path: Path) -> None:
        strict = Verifier.load(write_model(tmp_path / "twin", thresholds={"text_text": 0.99999}))
        answer = strict.answer_by_references(texts("a cat", "a cat", "a cat", "zzz 99 !!"), ["one", "two", "three"])
        assert [note.split(":")[0] for note in answer.notes] == ["reference three"]

    def test_without_calibration_there_is_a_score_still(self, tmp_path: Path) -> None:
        verifier = Verifier.load(write_model(tmp_path / "twin", thresholds={}))
        answer = verifier.answer_by_references(texts("a cat", *WORDS), WORDS, "best")
        assert (answer.score, answer.same) == (pytest.approx(1), None)
        with pytest.raises(CrossModalError, match="--how identity: the model has no calibration"):
            verifier.answer_by_references(texts("a cat", *WORDS), WORDS, "identity")
