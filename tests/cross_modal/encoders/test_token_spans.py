"""Each token says which letters it stands for, whatever the tokenizer: explanations write weights under letters."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toys.tiny_twin import TEXTS, tiny_twin

from cross_modal.encoders.open_clip_tokenizer import OpenClipTokenizer
from cross_modal.encoders.token_spans import TokenSpans
from cross_modal.encoders.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def clip() -> OpenClipTokenizer:
    pytest.importorskip("open_clip")
    return OpenClipTokenizer("ViT-B-32", {"context_length": 16})


@pytest.mark.parametrize("kind", ["characters", "bpe"])
@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=40))
def test_learned_tokens_point_into_the_text_as_it_was_typed(kind: str, text: str) -> None:
    tokenizer = Tokenizer.learn(TEXTS, kind, 64, context=24)  # type: ignore[arg-type]
    spans = tokenizer.spans(text)
    assert len(spans) == tokenizer([text]).shape[1]
    assert spans.text == text
    for piece, (start, end) in zip(spans.pieces, spans.spans, strict=True):
        assert 0 <= start <= end <= len(text)
        assert piece == text[start:end] or start == end


def test_the_letters_of_known_words_are_all_there() -> None:
    tokenizer = Tokenizer.learn(TEXTS, "bpe", 64, context=24)
    spans = tokenizer.spans("Greek  small letter ALPHA")
    assert [word for word, _ in spans.words] == ["Greek", "small", "letter", "ALPHA"]
    for word, tokens in spans.words:
        assert "".join(spans.pieces[token] for token in tokens) == word


@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=60))
def test_clip_pieces_follow_its_own_ids(clip: OpenClipTokenizer, text: str) -> None:
    ids = clip([text])[0].tolist()
    spans = clip.spans(text)
    assert len(spans) == len(ids) == 16
    ends = [end for (start, end) in spans.spans if start < end]
    assert ends == sorted(ends)
    inner = [place for place, each in enumerate(ids) if each not in (0, ids[0], 49407)]
    assert not any(spans.special[place] and len(spans.pieces[place]) == 0 for place in inner)


def test_clip_words_and_marks(clip: OpenClipTokenizer) -> None:
    spans = clip.spans("A Kingfisher, café")
    assert spans.text == "a kingfisher, café"
    assert [spans.pieces[0], spans.pieces[-1]] == ["<start_of_text>", "!"]  # CLIP pads with 0, which is "!"
    assert spans.special[0]
    assert spans.special[-1]
    for word, tokens in spans.words:
        assert "".join(spans.pieces[token] for token in tokens) == word
    assert "<end_of_text>" in spans.pieces


def test_a_text_that_was_cut_ends_with_the_mark(clip: OpenClipTokenizer) -> None:
    spans = clip.spans(
        "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
    )
    assert spans.pieces[-2:] == ("fourteen", "<end_of_text>")
    assert spans.special[-1]
    assert spans.words[-1] == ("sixteen", ())


@pytest.mark.parametrize("text", ["gru", "transformer"])
@torch.no_grad()
def test_trunks_give_a_span_for_each_token(text: str) -> None:
    trunk = tiny_twin(text=text).text
    assert trunk is not None
    for name in [*TEXTS, "", "ωmega", "a " * 200]:
        tokens = trunk(trunk.tokenize([name]))
        assert len(trunk.token_spans(name)) == tokens.values.shape[1]


def test_words_share_no_letters() -> None:
    spans = TokenSpans("aa a aa", ("aa", "a", "aa"), ((0, 2), (3, 4), (5, 7)))
    assert spans.words == (("aa", (0,)), ("a", (1,)), ("aa", (2,)))
