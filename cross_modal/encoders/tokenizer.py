"""The tokenizer of the text trunks from scratch: characters or byte-pair pieces, learned from the training texts.

A few thousand short texts need a few hundred pieces, not CLIP's 49,408. Pieces mark where a word ends ("alpha</w>"), so
that the "a" that ends a word and the "a" that opens one are two tokens. The vocabulary sees *training* texts only: a
piece that occurs in test names alone would be an untrained vector, and its spelling in smaller pieces is not.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Literal

import torch
from torch import Tensor

from cross_modal.encoders.token_spans import TokenSpans, spans_without_letters
from cross_modal.errors import CrossModalError

PAD, UNKNOWN = 0, 1
_WORD_END = "</w>"
_LEAST_PAIRS = 2  # a pair that occurs once teaches nothing


class Tokenizer:
    """Texts to token ids; lower case, pads with 0, unknown is 1.

    Args:
        model: A `tokenizers` tokenizer as its JSON text.
        context: Longest text in tokens; longer ones are cut.

    Example:
        >>> tokenizer = Tokenizer.learn(["latin small letter a", "latin small letter b"], "bpe", 64, context=8)
        >>> tokenizer(["latin small letter b"]).shape[0]
        1
    """

    def __init__(self, model: str, context: int) -> None:
        from tokenizers import Tokenizer as Fast

        self._fast = Fast.from_str(model)
        self._fast.no_padding()
        self._fast.enable_truncation(context)
        self._fast.enable_padding(pad_id=PAD, pad_token="<pad>")
        self.context = context

    @classmethod
    def learn(
        cls, texts: Iterable[str], kind: Literal["characters", "bpe"], vocabulary: int, context: int
    ) -> Tokenizer:
        """Learns a vocabulary.

        Args:
            texts: The training texts; each distinct one counts once.
            kind: "characters" or "bpe" (Sennrich et al. 2016).
            vocabulary: Most entries, the two special ones included.
            context: Longest text in tokens.

        Raises:
            CrossModalError: If there is no text to learn from.
        """
        from tokenizers import Regex, models, normalizers, pre_tokenizers
        from tokenizers import Tokenizer as Fast

        distinct = sorted({text for text in texts if text and text.strip()})
        if not distinct:
            raise CrossModalError("twin.text: expected training texts to learn a vocabulary from, found none")
        if kind == "characters":
            splitter: Any = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
            fast = Fast(models.WordLevel(_character_ids(distinct, vocabulary), unk_token="<unk>"))
        else:
            splitter = pre_tokenizers.Sequence(
                [pre_tokenizers.Whitespace(), pre_tokenizers.Digits(individual_digits=True)]
            )
            fast = Fast(models.BPE(unk_token="<unk>"))
        fast.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
        fast.pre_tokenizer = splitter
        if kind == "bpe":
            fast.model = _byte_pairs(fast, distinct, vocabulary)
        return cls(fast.to_str(), context)

    def __len__(self) -> int:
        return int(self._fast.get_vocab_size())

    def __call__(self, texts: list[str]) -> Tensor:
        """Tokenizes.

        Args:
            texts: B texts.

        Returns:
            (B, L) int64, padded to the longest of this batch; a text without any token becomes one unknown.
        """
        rows = self._fast.encode_batch_fast(texts)
        ids = torch.tensor([row.ids for row in rows], dtype=torch.long).reshape(len(rows), -1)
        if ids.shape[1] == 0:
            ids = torch.full((len(rows), 1), PAD, dtype=torch.long)
        ids[ids[:, 0] == PAD, 0] = UNKNOWN
        return ids

    def spans(self, text: str) -> TokenSpans:
        """Which piece of a text each of its tokens stands for.

        Args:
            text: One text.

        Returns:
            The tokens of ``self([text])[0]``, with characters of the text as it was given.
        """
        row = self._fast.encode(text)
        if not row.ids:
            return spans_without_letters(text, ["<unk>"])
        return TokenSpans(text, tuple(text[start:end] for start, end in row.offsets), tuple(row.offsets))

    def state(self) -> dict[str, Any]:
        """What rebuilds it: `Tokenizer(**state)`."""
        return {"model": self._fast.to_str(), "context": self.context}


def _byte_pairs(fast: Any, texts: list[str], vocabulary: int) -> Any:
    """Learns byte pairs, the same ones every time.

    The trainer numbers word-ending characters in the order of a hash map, and breaks ties by number: two runs would
    learn two vocabularies. Numbering all characters beforehand, as special tokens, settles it; the model that is
    returned knows them as ordinary pieces.
    """
    from tokenizers import Tokenizer as Fast
    from tokenizers import models, trainers

    pieces = fast.normalizer, fast.pre_tokenizer
    words = {word for text in texts for word, _ in pieces[1].pre_tokenize_str(pieces[0].normalize_str(text))}
    characters = sorted({character for word in words for character in word})
    endings = [f"{word}{_WORD_END}" for word in sorted({word[-1] for word in words})]
    alphabet = [*characters, *endings][: max(vocabulary - 2, 0)]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=_LEAST_PAIRS,
        special_tokens=["<pad>", "<unk>", *alphabet],
        limit_alphabet=len(characters),
        end_of_word_suffix=_WORD_END,
        show_progress=False,
    )
    learner = Fast(models.BPE(unk_token="<unk>", end_of_word_suffix=_WORD_END))
    learner.normalizer, learner.pre_tokenizer = pieces
    learner.train_from_iterator(texts, trainer)
    learned = json.loads(learner.to_str())["model"]
    merges = [tuple(merge) if isinstance(merge, list) else tuple(merge.split(" ")) for merge in learned["merges"]]
    return models.BPE(learned["vocab"], merges, unk_token="<unk>", end_of_word_suffix=_WORD_END, fuse_unk=True)


def _character_ids(texts: list[str], vocabulary: int) -> dict[str, int]:
    """The most frequent characters → ids after the two special ones."""
    count: dict[str, int] = {}
    for text in texts:
        for character in text.lower():
            count[character] = count.get(character, 0) + 1
    kept = sorted(count, key=lambda character: (-count[character], character))[: vocabulary - 2]
    return {"<pad>": PAD, "<unk>": UNKNOWN} | {character: index for index, character in enumerate(kept, 2)}
