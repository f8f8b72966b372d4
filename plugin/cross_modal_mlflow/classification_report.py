"""What ``cross-modal classify`` says: a table for people, a page with the references that voted, JSON for programs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cross_modal_mlflow.gallery_classifier import Candidate, GalleryClassifier, Prediction, Voter
from cross_modal_mlflow.gallery_table import shown

if TYPE_CHECKING:
    from rich.table import Table

    from cross_modal.gallery.gallery import Gallery
    from cross_modal_mlflow.classify_options import ClassifyOptions
    from cross_modal_mlflow.command_line import Call
    from cross_modal_mlflow.gallery_page import Section

UNKNOWN = "unknown"
_WIDEST = {"query": 32, "label": 28, "voters": 64}


@dataclass(frozen=True)
class Classified:
    """Queries of one kind and what they are.

    Attributes:
        kind: "image" or "text".
        gallery: The gallery.
        fitted: The classifier.
        predictions: One a query.
    """

    kind: str
    gallery: Gallery
    fitted: GalleryClassifier
    predictions: list[Prediction]

    def about(self) -> str:
        """What answered, in one line."""
        fitted = self.fitted
        shots = f"{fitted.shots:,} {'pictures' if self.kind == 'image' else 'references'}"
        texts = f" and {fitted.texts:,} texts" if fitted.texts else ""
        return f"{fitted.method}, {len(fitted.classifier.classes_):,} classes, {shots}{texts}"

    def threshold(self) -> str:
        """What the threshold is and what it costs, in one line."""
        found, scale = self.fitted.rejection, self.fitted.classifier.scale
        if found.threshold is None:
            return "nothing is unknown: there is no threshold"
        whose = "of the cohort" if found.strangers == "cohort" else "that references stand for"
        line = (
            f"unknown below a score of {found.threshold / scale:.4f}, learned on {found.impostors:,} strangers {whose}"
        )
        if found.false_reject_rate is None or found.accuracy is None:
            return line
        return (
            f"{line}; of {found.held_out:,} held-out references {100 * found.accuracy:.1f} % were named rightly and "
            f"{100 * found.false_reject_rate:.1f} % would be refused"
        )


def show(parts: Sequence[Classified], *, top: int, html: Path | None = None) -> None:
    """Prints the answers, and writes the page where one is asked for."""
    from cross_modal_mlflow.report import print_lines
    from cross_modal_mlflow.summary import stderr, stdout

    console = stdout()
    for part in parts:
        console.print(predictions_table(part.predictions, top))
        print_lines(console, [part.about(), part.threshold()])
        notes = [*part.fitted.notes, *(note for prediction in part.predictions for note in prediction.notes)]
        print_lines(stderr(), [f"note: {shown(note)}" for note in dict.fromkeys(notes)])
    if html is not None:
        write_html(html, parts)
        print_lines(console, [f"page: {html}"])


def predictions_table(predictions: Sequence[Prediction], top: int) -> Table:
    """One line a candidate; the first says what the item is, and by how much."""
    from rich.table import Table
    from rich.text import Text

    table = Table(header_style="bold")
    for name, justify in (("item", "left"), ("label", "left"), ("confidence", "right"), ("score", "right"),
                          ("margin", "right"), ("because of", "left")):  # fmt: skip
        table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for prediction in predictions:
        for place, candidate in enumerate(prediction.candidates[:top]):
            refused = place == 0 and prediction.label is None
            label = shown(candidate.label, _WIDEST["label"])
            name = f"{UNKNOWN} (nearest: {label})" if refused else label
            margin = "" if place or prediction.margin is None else f"{prediction.margin:.4f}"
            cells = [
                Text("" if place else shown(prediction.name, _WIDEST["query"])),
                Text(name, style="yellow" if refused else "" if place else "bold"),
                Text(f"{100 * candidate.confidence:.1f} %"),
                Text(f"{candidate.score:.4f}"),
                Text(margin),
                Text(voters_line(candidate.voters) if not place else ""),
            ]
            table.add_row(*cells)
        table.add_section()
    return table


def voters_line(voters: Sequence[Voter]) -> str:
    """The supports that spoke, with their shares, or with their similarity where there are no shares.

    >>> voters_line([Voter("a.png", 0.62, 0.9), Voter("its text", 0.2, None)])
    'a.png 62 %, its text 20 %'
    """
    said = [
        f"{shown(voter.id)} {100 * voter.share:.0f} %"
        if voter.share is not None
        else f"{shown(voter.id)} {voter.score:.3f}"
        for voter in voters
    ]
    return ", ".join(said)


def write_html(path: Path, parts: Sequence[Classified]) -> None:
    """Writes the page: each query with the references that voted for its class."""
    from cross_modal_mlflow.gallery_page import gallery_page, write_page

    sections = [_section(part, prediction) for part in parts for prediction in part.predictions]
    gallery = parts[0].gallery
    notes = [f"gallery {gallery.location}, version {gallery.version}, model {gallery.binding.in_words}"]
    for part in parts:
        notes += [part.about(), part.threshold(), *part.fitted.notes]
    write_page(path, gallery_page("Which class is it?", sections, list(dict.fromkeys(notes))))


def _section(part: Classified, prediction: Prediction) -> Section:
    from cross_modal_mlflow.gallery_page import Section, Tile
    from cross_modal_mlflow.gallery_table import Hit
    from cross_modal_mlflow.gallery_tiles import pictures_of, small_picture

    best = prediction.candidates[0]
    asked = Tile(
        title=Path(prediction.name).name if part.kind == "image" else "",
        picture=small_picture(prediction.name) if part.kind == "image" else None,
        words="" if part.kind == "image" else prediction.name,
        alt=f"the item: {prediction.name}",
        state="query" if prediction.label is not None else "unknown",
        sign="the item",
    )
    named = [
        (candidate, voter)
        for candidate in prediction.candidates
        for voter in candidate.voters
        if voter.score is not None
    ]
    rows = (
        part.gallery.row([voter.id for _, voter in named], ["id", "kind", "text", "image"]).to_pylist() if named else []
    )
    hits = [Hit(1, 0.0, row["id"], row["kind"], text=row["text"], image=row["image"]) for row in rows]
    pictures = pictures_of(part.gallery, hits)
    tiles = []
    for (candidate, voter), hit in zip(named, hits, strict=True):
        share = (
            "nearest of its class"
            if voter.share is None
            else f"{100 * voter.share:.0f} % of the vote for {candidate.label}"
        )
        first = candidate is best
        tiles.append(
            Tile(
                title=candidate.label,
                picture=pictures.get(hit.id),
                words=hit.text or "",
                score=f"{voter.score:.4f}",
                lines=[share, hit.id],
                alt=f"reference {hit.id} of {candidate.label}: {share}",
                state="plain" if not first else "right" if prediction.label is not None else "unknown",
                sign=""
                if not first
                else "voted for it"
                if prediction.label is not None
                else "nearest, but not near enough",
            )
        )
    return Section(
        heading=prediction.label if prediction.label is not None else f"{UNKNOWN} (nearest: {best.label})",
        tiles=tiles,
        asked=[asked],
        badge=_badge(prediction, best),
        notes=[*_others(prediction), *prediction.notes],
        empty="decided by the texts of the classes: no reference has a vote",
    )


def _badge(prediction: Prediction, best: Candidate) -> str:
    margin = "" if prediction.margin is None else f", margin {prediction.margin:.4f}"
    return f"confidence {100 * best.confidence:.1f} %, score {best.score:.4f}{margin}"


def _others(prediction: Prediction) -> list[str]:
    others = [f"{each.label} {100 * each.confidence:.1f} %" for each in prediction.candidates[1:]]
    return [f"or else: {', '.join(others)}"] if others else []


def write_report(call: Call, options: ClassifyOptions, parts: Sequence[Classified], seconds: dict[str, float]) -> None:
    """Writes ``--json``: all predictions with candidates and voters, and what the threshold was learned from."""
    from cross_modal_mlflow.report import Report, write_json

    assert call.json is not None
    gallery = parts[0].gallery
    about: dict[str, Any] = {
        "gallery": gallery.location,
        "version": gallery.version,
        "references": len(gallery),
        "model": gallery.binding.model,
        "digest": gallery.binding.digest,
        "method": parts[0].fitted.method,
        "where": options.where,
        "false_accept_rate": options.false_accept_rate,
    }
    metrics: dict[str, float] = {}
    for part in parts:
        found, scale = part.fitted.rejection, part.fitted.classifier.scale
        threshold = None if found.threshold is None else found.threshold / scale
        about[part.kind] = {
            "classes": len(part.fitted.classifier.classes_),
            "shots": part.fitted.shots,
            "texts": part.fitted.texts,
            "rejection": dataclasses.asdict(found) | {"threshold": threshold},
            "predictions": [dataclasses.asdict(prediction) for prediction in part.predictions],
            "notes": list(part.fitted.notes),
        }
        unknown = sum(prediction.label is None for prediction in part.predictions)
        metrics[f"classify/{part.kind}/items"] = float(len(part.predictions))
        metrics[f"classify/{part.kind}/unknown"] = float(unknown)
        if found.accuracy is not None:
            metrics[f"classify/{part.kind}/held_out_accuracy"] = found.accuracy
        if found.false_reject_rate is not None:
            metrics[f"classify/{part.kind}/false_reject_rate"] = found.false_reject_rate
    write_json(Report(call.command, about, metrics, seconds), call.json)
