"""A gallery that answers "who is it, or nobody": its references, its cohort, and the threshold they settle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cross_modal.errors import CrossModalError
from cross_modal.gallery.cohort import ATTACHMENT, Cohort, Kind
from cross_modal.gallery.filter import Filter
from cross_modal.gallery.gallery import Gallery
from cross_modal.gallery.gallery_threshold import FEWEST, calibrate_gallery
from cross_modal.gallery.identification import Identification, check_enrolment, identify
from cross_modal.gallery.identification_calibration import IdentificationCalibration
from cross_modal.gallery.identity_scores import Enrolment, How, enrol
from cross_modal.gallery.matrix import Matrix
from cross_modal.verification.references import FarReference
from cross_modal.verification.saved_calibration import SavedCalibration

if TYPE_CHECKING:
    from rich.table import Table

ATTACH = "attach one with: cross-modal index MODEL --data SOURCE --gallery {} --cohort SOURCE"


@dataclass(frozen=True)
class Identifier:
    """Who is enrolled in a gallery, and how to tell.

    Attributes:
        gallery: The gallery.
        matrix: Its rows.
        enrolment: The references among them.
        cohort: Identities that are not enrolled; None where none is attached.
        kind: What is compared with what: pictures, or texts.
        rate: The share of strangers that may be taken for somebody.
        how: How an identity's references make one score.
        notes: What to know, a sentence each.
    """

    gallery: Gallery
    matrix: Matrix
    enrolment: Enrolment
    cohort: Cohort | None
    kind: Kind
    rate: float
    how: How
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, gallery: Gallery, rate: float = 0.01, how: How = "mean", where: Filter | None = None) -> Identifier:
        """Gathers the references with a label; forgeries are nobody's.

        Args:
            gallery: The gallery.
            rate: The share of strangers that may be taken for somebody.
            how: How an identity's references make one score.
            where: Which rows are enrolled; all unless given.

        Raises:
            CrossModalError: No row has a label.
        """
        matrix = gallery.matrix()
        labels, kinds = matrix.column("label"), matrix.column("kind")
        usable = np.array([label is not None for label in labels], bool) & (matrix.column("genuine") != False)  # noqa: E712
        if where:
            usable &= where.mask(matrix.facts)
        if not usable.any():
            raise CrossModalError(f"gallery {gallery.location}: expected references with a label, found none")
        kind: Kind = "image" if (usable & (kinds == "image")).any() else "text"
        enrolment = enrol(matrix.vectors, labels, gallery.binding.metric, usable & (kinds == kind))
        content, cohort, notes = gallery.attachment(ATTACHMENT), None, []
        if content is not None:
            cohort = Cohort.from_bytes(content, f"gallery {gallery.location}: cohort")
        if cohort is not None and cohort.kind != kind:
            notes.append(f"the cohort is of {cohort.kind}s, the gallery of {kind}s: it is left aside")
            cohort = None
        if cohort is None:
            notes.append(ATTACH.format(gallery.location))
        return cls(gallery, matrix, enrolment, cohort, kind, rate, how, tuple(notes))

    @cached_property
    def calibration(self) -> IdentificationCalibration | None:
        """The threshold; None where there is neither a cohort nor enough identities to settle one."""
        if self.cohort is None and len(self.enrolment) < FEWEST:
            return None
        return calibrate_gallery(self.enrolment, self.cohort, self.rate, self.how)

    def about(self) -> dict[str, Any]:
        """What answers rest on, for ``--json`` and for the run."""
        gallery, cohort = self.gallery, self.cohort
        return {
            "gallery": gallery.location,
            "version": gallery.version,
            "model": gallery.binding.model,
            "digest": gallery.binding.digest,
            "metric": gallery.binding.metric,
            "kind": self.kind,
            "identities": len(self.enrolment),
            "references": len(self.enrolment.references),
            "cohort": None if cohort is None else {"identities": len(cohort.sizes), **cohort.provenance},
            "calibration": None if self.calibration is None else self.calibration.to_dict(),
            "notes": self.all_notes(),
        }

    def identify(self, queries: np.ndarray) -> Identification:
        """Names embeddings."""
        return identify(self.enrolment, queries, self.calibration, self.how)

    def far_references(self, folder: Path) -> dict[str, list[FarReference]]:
        """References that are unlike most of their fellows, by the model's threshold for pairs.

        Args:
            folder: The model's.

        Raises:
            CrossModalError: The model has no calibration.
        """
        saved = SavedCalibration.load(folder)
        if saved is None:
            raise CrossModalError(
                "--check: expected a model with a threshold for pairs, found one without a calibration"
            )
        calibration, _ = saved.of("picture_picture" if self.kind == "image" else "text_text")
        return check_enrolment(self.enrolment, calibration, self.matrix.ids.tolist())

    def all_notes(self) -> list[str]:
        """Of the gallery, and of the threshold."""
        if self.calibration is None:
            few = (
                f"{len(self.enrolment)} identities and no cohort settle no threshold: the nearest is named, not decided"
            )
            return [few, *self.notes]
        return [*self.calibration.notes, *self.notes]


def in_words(calibration: IdentificationCalibration) -> list[str]:
    """What to expect of a threshold, for people."""
    each = "reference" if calibration.references == 1 else "references"
    whose = {"cohort": "strangers of the cohort", "enrolled": "the enrolled as strangers to each other"}
    lines = [
        f"threshold {calibration.threshold:.4f}, for {calibration.identities:,} identities with "
        f"{calibration.references} {each} each ({calibration.how}), settled by "
        f"{whose.get(calibration.settled_by, calibration.settled_by)}",
        f"expect: strangers taken for somebody {calibration.expected.percent()}",
    ]
    if np.isfinite(calibration.detection):
        lines[-1] += (
            f"; enrolled ones named rightly {100 * calibration.detection:.0f} %, refused or confused "
            f"{100 - 100 * calibration.detection:.0f} % (each reference left out once)"
        )
    return lines


def answers(names: Sequence[str], found: Identification) -> list[dict[str, object]]:
    """One object a query, for ``--json``."""
    return [
        {
            "query": name,
            "identity": found.labels[row],
            "nearest": found.nearest[row],
            "score": float(found.scores[row]),
            "threshold": found.threshold,
            "runner_up": found.runner_up[row],
            "margin": float(found.margins[row]),
            "stranger_rate": float(found.stranger_rates[row]),
        }
        for row, name in enumerate(names)
    ]


def answer_table(names: Sequence[str], found: Identification) -> Table:
    """One row a query: who, score, threshold, margin to the runner-up, and how often a stranger scores that high."""
    from rich.table import Table
    from rich.text import Text

    from cross_modal_mlflow.gallery_table import shown

    table = Table(header_style="bold")
    for name in ("query", "who"):
        table.add_column(name, overflow="fold")
    for name in ("score", "threshold", "margin"):
        table.add_column(name, justify="right")
    table.add_column("before", overflow="fold")
    table.add_column("strangers that high", justify="right")
    for row, name in enumerate(names):
        nearest, second = str(found.nearest[row]), found.runner_up[row]
        undecided = "" if found.threshold is None else "nobody "
        who = nearest if found.labels[row] is not None else f"{undecided}(nearest: {nearest})"
        rate = found.stranger_rates[row]
        cells = [
            shown(name),
            shown(who),
            f"{found.scores[row]:.4f}",
            "–" if found.threshold is None else f"{found.threshold:.4f}",
            f"{found.margins[row]:.4f}" if np.isfinite(found.margins[row]) else "–",
            "–" if second is None else shown(str(second)),
            "–" if np.isnan(rate) else f"{100 * rate:.2g} %",
        ]
        table.add_row(*(Text(cell) for cell in cells))
    return table
