"""The tokenizer learns from training texts only, pads to the batch's real length, and comes back from its state."""

import pytest

from cross_modal.encoders.tokenizer import PAD, UNKNOWN, Tokenizer
from cross_modal.errors import CrossModalError

NAMES = [
    f"{script} {case} letter {letter}"
    for script in ("latin", "greek")
    for case in ("small", "capital")
    for letter in "abcdef"
]


@pytest.mark.parametrize("kind", ["characters", "bpe"])
def test_same_text_same_ids_whatever_the_neighbours(kind: str) -> None:
    tokenizer = Tokenizer.learn(NAMES, kind, 128, context=64)
    alone = tokenizer([NAMES[0]])
    beside = tokenizer([NAMES[0], NAMES[0] + " " + NAMES[1]])
    assert alone.shape[0] == 1
    assert beside[0, : alone.shape[1]].tolist() == alone[0].tolist()
    assert (beside[0, alone.shape[1] :] == PAD).all()


@pytest.mark.parametrize("kind", ["characters", "bpe"])
def test_state_rebuilds_the_tokenizer(kind: str) -> None:
    tokenizer = Tokenizer.learn(NAMES, kind, 128, context=64)
    again = Tokenizer(**tokenizer.state())
    assert again(NAMES).tolist() == tokenizer(NAMES).tolist()
    assert len(again) == len(tokenizer)


def test_frequent_words_become_one_piece_and_unseen_words_are_spelled() -> None:
    tokenizer = Tokenizer.learn(NAMES, "bpe", 128, context=64)
    assert tokenizer(["latin small letter a"]).shape[1] == 4
    spelled = tokenizer(["metal"])
    assert UNKNOWN not in spelled[0].tolist()
    assert spelled.shape[1] > 1


def test_unknown_characters_and_empty_texts_become_unknown() -> None:
    tokenizer = Tokenizer.learn(NAMES, "characters", 128, context=64)
    assert tokenizer(["ж"])[0].tolist() == [UNKNOWN]
    assert tokenizer([""])[0].tolist() == [UNKNOWN]
    assert tokenizer(["", "latin"])[0, 0] == UNKNOWN


def test_case_does_not_matter_and_long_texts_are_cut() -> None:
    tokenizer = Tokenizer.learn(NAMES, "characters", 128, context=10)
    assert tokenizer(["LATIN"]).tolist() == tokenizer(["latin"]).tolist()
    assert tokenizer(["latin small letter a"]).shape == (1, 10)


@pytest.mark.parametrize("kind", ["characters", "bpe"])
def test_the_same_texts_give_the_same_vocabulary_in_any_order(kind: str) -> None:
    first = Tokenizer.learn(NAMES, kind, 128, context=64).state()
    for texts in (NAMES, NAMES[::-1], NAMES * 2):
        assert Tokenizer.learn(texts, kind, 128, context=64).state() == first


def test_vocabulary_keeps_to_its_size() -> None:
    assert len(Tokenizer.learn(NAMES, "bpe", 40, context=64)) <= 40


def test_no_texts_is_an_error() -> None:
    with pytest.raises(CrossModalError, match="expected training texts"):
        Tokenizer.learn(["", "  "], "bpe", 40, context=64)
