"""What ties a gallery to the model that made it: embeddings of two models cannot be compared, however alike they look.

The digest is of what the embeddings are a function of: weights, preprocessing, tokenizer, heads. Versions of libraries
and the device are left out, so that the same model on another machine still matches.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cross_modal.errors import CrossModalError

if TYPE_CHECKING:
    from cross_modal.encoders.twin import TwinEncoder

_MACHINE = {"versions", "compute"}  # what depends on the machine, not on the model
_SHOWN = 8  # digits of a digest that people read


@dataclass(frozen=True)
class Binding:
    """The model of a gallery.

    Attributes:
        digest: SHA-256 (hex) of what its embeddings are a function of.
        metric: How its embeddings are compared.
        dim: Numbers in an embedding.
        normalise: Whether embeddings have length one.
        model: Where the model was found (a folder, runs:/…, models:/…); it may since have moved.
        version: Version of this package that made the gallery.

    >>> Binding("1a2b", "cosine", 4, True).dim
    4
    """

    digest: str
    metric: Literal["cosine", "euclidean"]
    dim: int
    normalise: bool
    model: str = ""
    version: str = ""

    def __post_init__(self) -> None:
        if self.metric not in ("cosine", "euclidean"):
            raise CrossModalError(f'gallery: expected the metric "cosine" or "euclidean", found {self.metric!r}')
        if self.dim < 1:
            raise CrossModalError(f"gallery: expected embeddings of at least 1 number, found {self.dim}")

    @classmethod
    def of(cls, twin: TwinEncoder, model: str = "") -> Binding:
        """The binding to a twin.

        Args:
            twin: The twin, as it will encode.
            model: Where it was found.

        Returns:
            Its binding.
        """
        from cross_modal import __version__
        from cross_modal.encoders.feature_description import Modality, describe_encoder

        sides: list[Modality] = []
        if twin.image is not None:
            sides.append("image")
        if twin.text is not None:
            sides.append("text")
        described = {}
        for side in sides:
            description = describe_encoder(twin, side, "embedding")
            described[side] = {name: value for name, value in description.items() if name not in _MACHINE}
        digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()
        return cls(digest, twin.metric, twin.dim, twin.normalise, model, __version__)

    @classmethod
    def of_folder(cls, folder: str | Path, model: str = "") -> tuple[TwinEncoder, Binding]:
        """Loads a saved twin and binds to it.

        Args:
            folder: The model's folder.
            model: What to call it; the folder unless given.

        Returns:
            The twin (evaluation mode, CPU) and its binding.

        Raises:
            CrossModalError: No saved twin, or one whose pairs a siamese head scores.
        """
        from cross_modal.encoders.saved_twin import load_twin
        from cross_modal.verification.pair_scorer import load_pair_scorer

        if load_pair_scorer(folder).verify_only:
            raise CrossModalError(
                f"{folder}: expected a model whose embeddings are compared, found one whose siamese head scores pairs "
                "(`verify` answers with it; no gallery can be searched by it)"
            )
        twin = load_twin(folder)
        return twin, cls.of(twin, model or str(folder))

    def check(self, other: Binding, where: str) -> None:
        """Refuses another model than this gallery's.

        Args:
            other: The binding of the model at hand.
            where: What to call the gallery.

        Raises:
            CrossModalError: The digests differ.
        """
        if self.digest != other.digest:
            raise CrossModalError(
                f"gallery {where}: expected the model that made it ({self.in_words}), found another ({other.in_words})"
            )

    @property
    def in_words(self) -> str:
        """The digest's beginning and where the model was found.

        >>> Binding("1a2b3c4d5e6f", "cosine", 4, True, "runs:/7/model").in_words
        'digest 1a2b3c4d…, runs:/7/model'
        """
        shown = f"digest {self.digest[:_SHOWN]}…" if len(self.digest) > _SHOWN else f"digest {self.digest}"
        return f"{shown}, {self.model}" if self.model else shown

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able primitives."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str = "gallery") -> Binding:
        """From JSON-able primitives; names that a later version may add are left aside.

        Args:
            values: As from `to_dict`.
            where: What to call their source in messages.

        Raises:
            CrossModalError: Something is missing or of another type.
        """
        types = {"digest": str, "metric": str, "dim": int, "normalise": bool, "model": str, "version": str}
        for name in types:
            if not isinstance(values, Mapping) or not isinstance(values.get(name), types[name]):
                found = values.get(name) if isinstance(values, Mapping) else values
                raise CrossModalError(f"{where}: expected {name} ({types[name].__name__}), found {found!r}")
        return cls(**{field.name: values[field.name] for field in fields(cls)})
