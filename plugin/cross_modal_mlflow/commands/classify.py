"""``cross-modal classify``: which class of a gallery is it, how sure, and which references said so; or unknown."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.arguments import parse
from cross_modal_mlflow.classify_options import ClassifyOptions
from cross_modal_mlflow.command_line import Call
from cross_modal_mlflow.word_lists import gather_words

if TYPE_CHECKING:
    from cross_modal.fewshot.mixture import Mixture
    from cross_modal_mlflow.classification_report import Classified

EXAMPLES = """\
examples:
  cross-modal classify refs.gallery new.png
  cross-modal classify refs.gallery *.png --top 3 --html answers.html
  cross-modal classify refs.gallery new.png --method nearest_neighbours --where split=train
  cross-modal classify refs.gallery --text "how do I reset my password"
  cross-modal classify refs.gallery new.png --false-accept-rate 0.01     refuse strangers more strictly
  cross-modal classify refs.gallery new.png --false-accept-rate 1        always name a class

References with a label are the examples; those that are not genuine are left out. The score below which an item is
unknown is learned from the gallery's cohort (items of classes that are not enrolled), else from the references
themselves, each one scored without its own class. Confidence is the probability among the gallery's classes, given
that it is one of them; whether it is one at all is what "unknown" answers."""


def run(call: Call) -> int:
    """Runs the command."""
    options = parse(
        ClassifyOptions,
        gather_words(call.arguments, ClassifyOptions, ["image", "text", "where"], positional="image"),
        command=call.command,
        examples=EXAMPLES,
        usage="GALLERY IMAGE… [--text WORDS…] [options]",
        positionals=["gallery"],
    )
    check(options)
    from cross_modal_mlflow.classification_report import show, write_report

    seconds: dict[str, float] = {}
    parts = _classify(options, seconds)
    show(parts, top=options.top, html=None if options.html is None else Path(options.html))
    if call.json is not None:
        write_report(call, options, parts, seconds)
    return 0


def check(options: ClassifyOptions) -> None:
    """Refuses what can be refused before a model is read.

    Raises:
        CrossModalError: In one line.
    """
    from cross_modal.gallery.composition import Term
    from cross_modal_mlflow.gallery_query import check_terms

    if not options.gallery:
        raise CrossModalError("classify: expected a GALLERY, found none")
    if not options.image and not options.text:
        raise CrossModalError("classify: expected picture files or --text WORDS, found none")
    if options.top < 1:
        raise CrossModalError(f"--top: expected at least 1, found {options.top}")
    if not 0 <= options.false_accept_rate <= 1:
        raise CrossModalError(f"--false-accept-rate: expected a share from 0 to 1, found {options.false_accept_rate}")
    check_terms([Term(1.0, image=image) for image in options.image], "classify")
    check_terms([Term(1.0, text=text) for text in options.text], "classify")


def _classify(options: ClassifyOptions, seconds: dict[str, float]) -> list[Classified]:
    """Pictures and texts, each kind by a classifier of its own."""
    from cross_modal.gallery.filter import Filter
    from cross_modal_mlflow.classification_report import Classified
    from cross_modal_mlflow.gallery_classifier import GalleryClassifier, method_named
    from cross_modal_mlflow.gallery_model import open_bound
    from cross_modal_mlflow.gallery_query import embed_pictures, embed_words
    from cross_modal_mlflow.store import open_store

    where, method = Filter.parse(options.where), method_named(options.method)
    bound = open_bound(options.gallery, options.model, open_store)
    parts = []
    kinds: Sequence[tuple[str, list[str]]] = [("image", options.image), ("text", options.text)]
    for kind, names in kinds:
        if not names:
            continue
        started = time.perf_counter()
        vectors = (embed_pictures if kind == "image" else embed_words)(bound.twin, names, options.items)
        contents = _contents(kind, names)
        seconds["encode"] = seconds.get("encode", 0.0) + time.perf_counter() - started
        started = time.perf_counter()
        fitted = GalleryClassifier.of(
            bound.gallery,
            "image" if kind == "image" else "text",
            method=method,
            where=where,
            false_accept_rate=options.false_accept_rate,
            mixture=_mixture(bound.folder),
            seed=options.seed,
        )
        seconds["fit"] = seconds.get("fit", 0.0) + time.perf_counter() - started
        started = time.perf_counter()
        predictions = fitted.predict(names, vectors, options.top, contents)
        seconds["classify"] = seconds.get("classify", 0.0) + time.perf_counter() - started
        parts.append(Classified(kind, bound.gallery, fitted, predictions))
    return parts


def _contents(kind: str, names: Sequence[str]) -> list[str]:
    """Hashes of the queries' content, as references have them."""
    import numpy as np

    from cross_modal.data.items import Items
    from cross_modal.gallery.item_ids import ReferenceRows, contents_of

    items = Items.of(images=names) if kind == "image" else Items.of(texts=names)
    return contents_of(items, ReferenceRows(np.arange(len(names)), np.full(len(names), kind, object), list(names)))


def _mixture(folder: Path) -> Mixture | None:
    """How the model weighs pictures and names, if it learned that."""
    from cross_modal.encoders.saved_twin import read_card
    from cross_modal.fewshot.mixture import Mixture

    stored = read_card(folder)["card"].get("mixture")
    return Mixture.from_dict(stored) if stored else None
