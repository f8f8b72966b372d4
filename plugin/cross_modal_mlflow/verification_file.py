"""``cross-modal verify --pairs FILE``: a file of pairs of any size, scored row by row.

Rows are read in windows, and the items of a window are encoded together (`item_encoder`). Answers are written as they
come, to a file beside the one that was asked for, which is put in place at the end.
"""

from __future__ import annotations

import csv
import os
import sys
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np

from cross_modal.data.bad_items import BadItem, BadItems
from cross_modal.data.manifest import check_columns, text_cell
from cross_modal.data.pair_table import ends_of, row_of
from cross_modal.data.pairs import PAIR_SIDES
from cross_modal.encoders.embedding import Progress
from cross_modal.errors import CrossModalError
from cross_modal.verification.bootstrap import Owners, identities
from cross_modal.verification.comparison import comparison
from cross_modal_mlflow.item_encoder import ItemEncoder, Side, key_of
from cross_modal_mlflow.nearest_pairs import NearestPairs
from cross_modal_mlflow.pair_measurement import PairMeasures, ScoredPairs, measure_pairs
from cross_modal_mlflow.pair_stream import stream_rows
from cross_modal_mlflow.verification_answer import UNCALIBRATED, Verifier

WINDOW = 4096  # rows


@dataclass
class FileResult:
    """What came of a file.

    Attributes:
        rows: Rows read.
        same: Pairs decided to be the same.
        different: Pairs decided to differ.
        encoded: Items encoded.
        comparisons: Comparison → pairs.
        metrics: `verification/…`, where the file has verdicts.
        notes: Sentences worth reading.
        skipped: Rows without an answer.
        scored: The pairs that were measured, without the items themselves; None where none were, as the next.
        measures: What was measured on them.
        nearest: Those nearest to their threshold, with their items.
    """

    rows: int = 0
    same: int = 0
    different: int = 0
    encoded: int = 0
    comparisons: dict[str, int] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    skipped: list[BadItem] = field(default_factory=list)
    scored: ScoredPairs | None = None
    measures: PairMeasures | None = None
    nearest: NearestPairs = field(default_factory=NearestPairs)


def verify_file(
    verifier: Verifier, source: Path, out: Path | None = None, progress: Progress | None = None, window: int = WINDOW
) -> FileResult:
    """Scores all pairs of a file, and measures them where it has verdicts.

    Args:
        verifier: The twin with its thresholds.
        source: A .csv, .tsv, .parquet or .jsonl file with `image_a`, `text_a`, `image_b`, `text_b` (those that exist)
            and, where there are verdicts, `same` or `score`; `group` says which pairs belong together.
        out: The CSV file for the answers, "-" for standard output; None writes none.
        progress: Called with the number of pairs just done.
        window: Rows at a time.

    Returns:
        Counts, and metrics where there are verdicts.

    Raises:
        CrossModalError: One line with file, row and reason.
    """
    return FileVerification(verifier, source, window).run(out, progress)


class FileVerification:
    """State of one file; `verify_file` is the door to it.

    Args:
        verifier: The twin with its thresholds.
        source: The file.
        window: Rows at a time.

    Attributes:
        given: The column with verdicts, "same" or "score"; empty where there is none.

    Raises:
        CrossModalError: Columns that are no pairs.
    """

    def __init__(self, verifier: Verifier, source: Path, window: int = WINDOW) -> None:
        self.verifier, self.source, self.window = verifier, source, window
        columns, self._rows = stream_rows(source)
        check_columns(source.name, columns, (*ends_of(PAIR_SIDES), "same", "score", "split", "group"))
        self.given: list[str] = [name for name in ("same", "score") if name in columns]
        if len(self.given) > 1:
            raise CrossModalError(f"{source.name}: expected one column of same and score, found both")
        for side in PAIR_SIDES:
            if not {f"image_{side}", f"text_{side}"} & set(columns):
                raise CrossModalError(f"{source.name}: expected a column image_{side} or text_{side}, found neither")
        self.shown = [name for name in (*ends_of(PAIR_SIDES), *self.given) if name in columns]
        self.grouped, self.parted = "group" in columns, "split" in columns
        self.result = FileResult()
        self.bad = BadItems(verifier.data.on_bad_item, self.result.skipped)
        self._encoder = ItemEncoder(verifier.twin, verifier.data, source, self.bad, 2 * window)
        self._kinds: list[str] = []
        self._scores, self._truths, self._numbers = array("d"), array("d"), array("b")
        self._owners = array("q"), array("q")

    def run(self, out: Path | None, progress: Progress | None, copy: Path | None = None) -> FileResult:
        """All windows, then the measures; the answers are written to `out` and to a copy."""
        numbered = enumerate(self._rows, 1)
        with _writer(out) as write_out, _writer(copy) as write_copy:

            def write(line: Sequence[Any]) -> None:
                write_out(line)
                write_copy(line)

            write(["row", *self.shown, "answer_score", "answer", "probability"])
            while rows := list(islice(numbered, self.window)):
                for line in self._window(rows):
                    write(line)
                self.result.rows += len(rows)
                if progress:
                    progress(len(rows))
        self.result.encoded = self._encoder.encoded
        if not self.result.rows:
            raise CrossModalError(f"{self.source.name}: expected rows, found none")
        if self.verifier.calibration is None:
            self.result.notes.append(UNCALIBRATED)
        if self.given:
            self._measure()
        return self.result

    def _window(self, rows: list[tuple[int, dict[str, object]]]) -> Iterator[list[Any]]:
        """Answers a window's rows, in their order."""
        sides: dict[int, tuple[Side, Side]] = {}
        truths: dict[int, float] = {}
        for number, row in rows:
            try:
                cells = row_of(row, PAIR_SIDES, self.given, False, self.source.parent)
            except ValueError as error:
                self.bad.add(number, f"{self.source.name} row {number}", str(error))
                continue
            sides[number] = cells["a"], cells["b"]  # type: ignore[assignment]
            if self.given:
                truths[number] = float(cells[self.given[0]])  # type: ignore[arg-type]
        known, kinds = self._encoder.embedded(sides)
        good = [number for number, (a, b) in sides.items() if key_of(a) in known and key_of(b) in known]
        keys = {number: (key_of(sides[number][0]), key_of(sides[number][1])) for number in good}
        answers = self._answers(good, keys, known, kinds)
        for number, row in rows:
            if number in answers and self.given:
                group = text_cell(row.get("group")) if self.grouped else None
                self._collect(answers[number], truths[number], keys[number], group)
                self._notice(number, answers[number], truths[number], sides[number])
            score, decided, probability, _ = answers.get(number, (None, None, None, ""))
            written = [row.get(name) for name in self.shown]
            yield [
                number,
                *("" if cell is None or isinstance(cell, bytes | dict) else cell for cell in written),
                "" if score is None else f"{score:.6g}",
                "" if decided is None else "same" if decided else "different",
                "" if probability is None else f"{probability:.6g}",
            ]

    def _answers(
        self,
        numbers: list[int],
        keys: dict[int, tuple[bytes, bytes]],
        known: dict[bytes, np.ndarray],
        kinds: dict[bytes, str],
    ) -> dict[int, tuple[float, bool | None, float | None, str]]:
        """Score, decision, probability and comparison of each row."""
        if not numbers:
            return {}
        a, b = (np.stack([known[keys[number][side]] for number in numbers]) for side in (0, 1))
        scores = self.verifier.scorer.score(a, b)
        names = [comparison(kinds[keys[number][0]], kinds[keys[number][1]]) for number in numbers]
        found: dict[int, tuple[float, bool | None, float | None, str]] = {}
        for name in sorted(set(names)):
            rows = [place for place, each in enumerate(names) if each == name]
            self.result.comparisons[name] = self.result.comparisons.get(name, 0) + len(rows)
            calibrated = self.verifier.calibration_of(name)
            if calibrated is None:
                found |= {numbers[row]: (float(scores[row]), None, None, name) for row in rows}
                continue
            calibration, notes = calibrated
            self.result.notes += [note for note in notes if note not in self.result.notes]
            decision = calibration.decide(scores[rows])
            self.result.same += int(decision.same.sum())
            self.result.different += int((~decision.same).sum())
            for row, same, probability in zip(rows, decision.same, decision.probability, strict=True):
                found[numbers[row]] = (float(scores[row]), bool(same), float(probability), name)
        return found

    def _collect(
        self,
        answer: tuple[float, bool | None, float | None, str],
        truth: float,
        keys: tuple[bytes, bytes],
        group: str | None,
    ) -> None:
        """Keeps what the measures need, some thirty bytes a pair."""
        score, _, _, kind = answer
        if kind not in self._kinds:
            self._kinds.append(kind)
        self._scores.append(score)
        self._truths.append(truth)
        self._numbers.append(self._kinds.index(kind))
        owners = keys if group is None else (group.encode(), group.encode())
        for side, owner in zip(self._owners, owners, strict=True):
            side.append(int.from_bytes(owner_number(owner), "little", signed=True))

    def _notice(
        self, number: int, answer: tuple[float, bool | None, float | None, str], truth: float, sides: tuple[Side, Side]
    ) -> None:
        """Keeps the pair if it is among those that the threshold is least sure of."""
        score, _, probability, kind = answer
        calibrated = self.verifier.calibration_of(kind)
        if calibrated is None or probability is None or self.given != ["same"]:
            return
        self.result.nearest.add(number, sides, score - calibrated[0].threshold, truth == 1, probability, kind)

    def _measure(self) -> None:
        """Error rates or correlations of what was collected."""
        scores, truths, numbers = (np.array(kept) for kept in (self._scores, self._truths, self._numbers))
        if not len(scores):
            return
        a, b = (np.array(side, np.int64) for side in self._owners)
        owners = Owners(a, b, "group") if self.grouped else identities(a, b)  # a row without a group is its items'
        kinds = np.array(self._kinds, object)[numbers]
        same, graded = (truths == 1, None) if self.given == ["same"] else (None, truths)
        scored = ScoredPairs(scores, kinds, owners, same, graded)
        try:
            measures = measure_pairs(scored, self.verifier.calibration, self.verifier.false_accept_rate)
            self.result.metrics, notes = measures.metrics, measures.notes
            self.result.scored, self.result.measures = scored, measures
        except CrossModalError as error:  # one verdict only, say: the answers are there all the same
            notes = [f"not measured: {error}"]
        if self.parted:
            notes = [*notes, f"{self.source.name} has splits, and all of them were measured: evaluate measures one"]
        self.result.notes += [note for note in notes if note not in self.result.notes]


def owner_number(owner: bytes) -> bytes:
    """Eight bytes for an item or a group."""
    return blake2b(owner, digest_size=8).digest()


@contextmanager
def _writer(out: Path | None) -> Iterator[Any]:
    """Gives a function that writes a line of CSV; a file appears when all is written."""
    if out is None:
        yield lambda line: None
        return
    if str(out) == "-":
        yield csv.writer(sys.stdout, lineterminator="\n").writerow
        return
    aside = out.with_name(f".{out.name}.part")
    try:
        file: IO[str]
        with aside.open("w", newline="", encoding="utf-8") as file:
            yield csv.writer(file, lineterminator="\n").writerow
        os.replace(aside, out)
    except OSError as error:
        raise CrossModalError(f"{out}: the answers could not be written ({error.strerror})") from None
    finally:
        aside.unlink(missing_ok=True)
