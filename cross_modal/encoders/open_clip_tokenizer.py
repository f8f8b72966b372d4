"""The tokenizer of an open_clip model: CLIP's own byte-pair encoding, or one from Hugging Face.

A tokenizer from Hugging Face is looked for in the folder that the user named, then in the local cache; only a user who
asked for a pretrained tag gets it from the hub. A saved model carries its files, so that it needs neither.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from cross_modal.encoders.token_spans import TokenSpans, spans_without_letters
from cross_modal.encoders.trunk_libraries import import_open_clip, require_transformers
from cross_modal.errors import CrossModalError

_FILES = ("tokenizer.json", "tokenizer_config.json")  # either one marks a folder that holds a tokenizer
_KEPT = (".json", ".txt")


class OpenClipTokenizer:
    """Texts → ids, padded to the whole context; loaded at first use.

    Args:
        name: The model's open_clip name, for messages.
        text_cfg: open_clip's configuration of the text tower, which names the tokenizer.
        folders: Local folders that may hold the tokenizer's files.
        online: Whether the tokenizer may be fetched from the hub.
        saved_files: The tokenizer's files by name, of a saved model.
    """

    def __init__(
        self,
        name: str,
        text_cfg: dict[str, Any],
        folders: Sequence[Path] = (),
        online: bool = False,
        saved_files: dict[str, str] | None = None,
    ) -> None:
        self.name = name
        self.text_cfg = text_cfg
        self.folders = list(folders)
        self.online = online
        self.saved_files = saved_files
        self.context: int = text_cfg.get("context_length") or 77
        self._tokenizer: Any = None

    def __call__(self, texts: list[str]) -> Tensor:
        """Tokenizes.

        Args:
            texts: B texts.

        Returns:
            (B, context) int64.

        Raises:
            CrossModalError: If the tokenizer is not there, or the extra hf is missing.
        """
        return self._load()(texts, context_length=self.context)

    def spans(self, text: str) -> TokenSpans:
        """Which piece of a text each of its ids stands for.

        Args:
            text: One text.

        Returns:
            The whole context: the tokens of ``self([text])[0]``. Where a tokenizer does not say which characters a
            token stands for, or cuts texts in a way of its own, the tokens' names alone.
        """
        tokenizer, ids = self._load(), self([text])[0].tolist()
        clean = tokenizer.clean_fn(text)
        if hasattr(tokenizer, "byte_encoder"):
            found = _of_byte_pairs(tokenizer, clean)
            names = [tokenizer.decoder.get(each, "<unk>").removesuffix("</w>") for each in ids]
        else:
            found = _of_hugging_face(tokenizer.tokenizer, clean, self.context)
            names = [str(name) for name in tokenizer.tokenizer.convert_ids_to_tokens(ids)]
        spans = [(0, 0)] * len(ids)  # what no letters stand for: marks, padding
        for place, (own, span) in enumerate(found[: len(ids)]):
            if own == ids[place]:
                spans[place] = span
            elif span[0] < span[1] and place + 1 < len(ids):  # at the last place, a text that was cut has its mark
                return spans_without_letters(clean, names)
        pieces = [clean[start:end] or name for (start, end), name in zip(spans, names, strict=True)]
        return TokenSpans(clean, tuple(pieces), tuple(spans))

    def files(self) -> dict[str, str] | None:
        """The files of a tokenizer from Hugging Face by name; None where the tokenizer is CLIP's own or not there."""
        if not self.text_cfg.get("hf_tokenizer_name"):
            return None
        if self.saved_files:
            return self.saved_files
        try:
            tokenizer = self._load()
        except CrossModalError:
            return None  # never used: a picture-only use of this model does not need it
        with tempfile.TemporaryDirectory() as folder:
            tokenizer.save_pretrained(folder)
            paths = [path for path in sorted(Path(folder).iterdir()) if path.suffix in _KEPT]
            return {path.name: path.read_text(encoding="utf-8") for path in paths}

    def _load(self) -> Any:
        if self._tokenizer is None:
            arguments = dict(self.text_cfg.get("tokenizer_kwargs") or {})
            if self.text_cfg.get("hf_tokenizer_name"):
                self._tokenizer = self._load_hf(arguments)
            else:
                self._tokenizer = import_open_clip().SimpleTokenizer(context_length=self.context, **arguments)
        return self._tokenizer

    def _load_hf(self, arguments: dict[str, Any]) -> Any:
        require_transformers(f"open_clip:{self.name}: its tokenizer")
        files = self.saved_files
        if not files:
            return self._from(self._place(), arguments)
        with tempfile.TemporaryDirectory() as folder:
            for name, content in files.items():
                # the last part only: a saved model from elsewhere must not write outside this folder
                (Path(folder) / Path(name).name).write_text(content, encoding="utf-8")
            return self._from(folder, arguments)

    def _place(self) -> str:
        """The folder or repository that holds the tokenizer."""
        for folder in self.folders:
            if any((folder / name).is_file() for name in _FILES):
                return str(folder)
        return str(self.text_cfg["hf_tokenizer_name"])

    def _from(self, place: str, arguments: dict[str, Any]) -> Any:
        from open_clip.tokenizer import HFTokenizer

        try:
            return HFTokenizer(
                place,
                context_length=self.context,
                tokenizer_mode=self.text_cfg.get("tokenizer_mode"),
                local_files_only=not self.online,
                trust_remote_code=False,
                **arguments,
            )
        except Exception as error:
            # transformers raises anything from OSError to KeyError over files that are missing or damaged
            raise CrossModalError(
                f"open_clip:{self.name}: expected the tokenizer {place} in the folder that pretrained names or "
                f"in the local Hugging Face cache, found neither ({type(error).__name__})"
            ) from None


def _of_byte_pairs(tokenizer: Any, text: str) -> list[tuple[int, tuple[int, int]]]:
    """Ids and spans (in characters) of CLIP's own encoding, which works on bytes; the mark of the start first."""
    found = [(int(tokenizer.sot_token_id), (0, 0))]
    for match in tokenizer.pat.finditer(text):
        content = match.group().encode()
        at = 0
        for piece in tokenizer.bpe("".join(tokenizer.byte_encoder[byte] for byte in content)).split(" "):
            end = at + len(piece.removesuffix("</w>"))
            start, stop = (match.start() + len(content[:each].decode(errors="ignore")) for each in (at, end))
            found.append((int(tokenizer.encoder[piece]), (start, stop)))
            at = end
    return found


def _of_hugging_face(tokenizer: Any, text: str, context: int) -> list[tuple[int, tuple[int, int]]]:
    """Ids and spans, where the tokenizer is one that knows its spans; else nothing."""
    if not getattr(tokenizer, "is_fast", False):
        return []
    row = tokenizer(text, max_length=context, truncation=True, return_offsets_mapping=True)
    return [(each, (int(a), int(b))) for each, (a, b) in zip(row["input_ids"], row["offset_mapping"], strict=True)]
