"""The cohort: embeddings of identities that nobody enrolled, kept beside a gallery to settle thresholds by.

How high a stranger scores against the best of N identities depends on N, on how many references each has, and on the
model. The only honest way to know is to play it through with identities that the model was not trained on: validation
classes. Their embeddings are the cohort. They also serve as the impostors of score normalisation.

Source: Auckenthaler, Carey, Lloyd-Thomas 2000, "Score normalization for text-independent speaker verification systems"
(the name, and the use as impostors).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.scoring import check_embeddings

ATTACHMENT = "cohort"  # its name beside a gallery
FORMAT = 1
Kind = Literal["image", "text"]


@dataclass(frozen=True)
class Cohort:
    """Embeddings of known identities, none of them enrolled and none trained on.

    Attributes:
        embeddings: (M, D) float32, as the gallery's model gives them.
        labels: (M,) objects (str): the identity of each row.
        kind: What was embedded.
        provenance: What they are, as JSON-able primitives: data, digest, split.

    Raises:
        CrossModalError: Embeddings that are not finite, a label missing, or fewer than two identities.

    >>> Cohort(np.eye(3, dtype=np.float32), np.array(["a", "a", "b"], object)).sizes.tolist()
    [2, 1]
    """

    embeddings: np.ndarray
    labels: np.ndarray
    kind: Kind = "image"
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_embeddings("cohort", self.embeddings)
        if len(self.labels) != len(self.embeddings) or any(label is None for label in self.labels):
            raise CrossModalError(
                f"cohort: expected a label for each of {len(self.embeddings)} items, found "
                f"{sum(label is not None for label in self.labels)}"
            )
        if len(set(self.labels)) < 2:
            raise CrossModalError(f"cohort: expected at least 2 identities, found {len(set(self.labels))}")

    @classmethod
    def of(
        cls,
        embeddings: np.ndarray,
        labels: np.ndarray,
        kind: Kind = "image",
        *,
        genuine: np.ndarray | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> Cohort:
        """A cohort of those rows that have a label and are no forgery.

        Args:
            embeddings: (n, D) float.
            labels: (n,) str or None.
            kind: What was embedded.
            genuine: (n,) bool; None takes all.
            provenance: What they are.

        Raises:
            CrossModalError: Fewer than two identities are left, or embeddings are not finite.
        """
        labels = np.asarray(labels, object)
        keep = np.array([label is not None for label in labels], bool)
        if genuine is not None:
            keep &= np.asarray(genuine, bool)
        rows = np.ascontiguousarray(embeddings[keep], np.float32)
        return cls(rows, labels[keep].astype(str).astype(object), kind, dict(provenance or {}))

    @property
    def codes(self) -> np.ndarray:
        """(M,) int64: the number of each row's identity, names in order."""
        return np.unique(self.labels.astype(str), return_inverse=True)[1].astype(np.int64)

    @property
    def sizes(self) -> np.ndarray:
        """(I,) int64: items of each identity."""
        return np.bincount(self.codes)

    def to_bytes(self) -> bytes:
        """As safetensors, with the names as JSON inside, for `from_bytes`."""
        from safetensors.numpy import save

        names, codes = np.unique(self.labels.astype(str), return_inverse=True)
        about = {
            "format": FORMAT,
            "kind": self.kind,
            "identities": names.tolist(),
            "provenance": dict(self.provenance),
        }
        text = json.dumps(about, ensure_ascii=False, default=str).encode()
        return save(
            {
                "embeddings": np.ascontiguousarray(self.embeddings, np.float32),
                "codes": codes.astype(np.int32),
                "about": np.frombuffer(text, np.uint8),
            }
        )

    @classmethod
    def from_bytes(cls, content: bytes, where: str = "cohort") -> Cohort:
        """Reads what `to_bytes` wrote.

        Args:
            content: The bytes.
            where: What errors call them.

        Raises:
            CrossModalError: Something else, of a later version, or damaged.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            tensors = load(content)
            about = json.loads(tensors["about"].tobytes().decode())
            if about["format"] != FORMAT:
                raise CrossModalError(f"{where}: expected a cohort of format {FORMAT}, found {about['format']!r}")
            labels = np.array(about["identities"], object)[tensors["codes"]]
            return cls(tensors["embeddings"], labels, about["kind"], about["provenance"])
        except CrossModalError:
            raise
        except (SafetensorError, KeyError, ValueError, IndexError, TypeError) as error:
            reason = str(error).splitlines()[-1] if str(error) else type(error).__name__
            raise CrossModalError(f"{where}: expected a cohort, found {reason}") from None
