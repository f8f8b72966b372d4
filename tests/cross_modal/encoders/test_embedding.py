"""Many texts: each distinct one once, whatever their order, in room for what they are."""

import tracemalloc

import numpy as np
import torch
from toys.tiny_twin import tiny_twin

from cross_modal.encoders.embedding import embed_texts


def test_every_text_has_its_embedding_and_distinct_ones_are_encoded_once() -> None:
    twin, done = tiny_twin(image="none"), []
    texts = ["b", "alpha beta", "", "b", "é", "alpha"]
    found = embed_texts(twin, texts, batch_size=2, progress=done.append)
    assert sum(done) == 5
    assert np.array_equal(found[0], found[3])
    assert twin.text is not None
    with torch.no_grad():
        alone = torch.cat([twin.encode_text(twin.text.tokenize([text])) for text in texts]).numpy()
    assert np.allclose(found, alone, atol=1e-5)
    assert embed_texts(twin, []).shape == (0, twin.dim)


def test_one_long_text_does_not_make_the_others_as_long() -> None:
    texts = [*(f"question {number % 7}" for number in range(20_000)), "word " * 2000]
    tracemalloc.start()
    embed_texts(tiny_twin(image="none"), texts)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6
