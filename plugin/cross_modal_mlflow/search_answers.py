"""The hits of many queries as one CSV: a row for each hit, written as they come, whole or not at all."""

from __future__ import annotations

import csv
import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.gallery_search import Answer

HEADER = ("query", "asked", "rank", "score", "id", "kind", "label", "genuine", "text", "image")
AGAIN = ("tokens", "before")


def write_answers(answers: Iterable[Answer], out: str) -> tuple[int, dict[str, float]]:
    """Writes the hits.

    Args:
        answers: In the order of the file of queries.
        out: A CSV file, replaced when all is there; "-" is the terminal.

    Returns:
        How many hits, and how many queries found nothing.

    Raises:
        CrossModalError: The file cannot be written.
    """
    if out == "-":
        return _write(answers, sys.stdout)
    path = Path(out)
    aside: str | None = None
    try:
        handle, aside = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            counted = _write(answers, file)
        os.chmod(aside, 0o644)
        os.replace(aside, path)
    except OSError as error:
        raise CrossModalError(f"--out {path}: the hits could not be written ({error.strerror})") from None
    finally:
        if aside is not None:
            Path(aside).unlink(missing_ok=True)
    return counted


def _write(answers: Iterable[Answer], file: TextIO) -> tuple[int, dict[str, float]]:
    writer, hits, empty = csv.writer(file, lineterminator="\n"), 0, 0
    again: bool | None = None
    for number, answer in enumerate(answers, 1):
        if again is None:
            again = any(hit.before is not None for hit in answer.hits)
            writer.writerow([*HEADER, *(AGAIN if again else ())])
        for hit in answer.hits:
            row = [number, answer.query.equation, hit.rank, f"{hit.score:.6g}", hit.id, hit.kind, hit.label]
            row += [int(hit.genuine), hit.text, hit.image]
            writer.writerow([*row, *((hit.tokens, hit.before) if again else ())])
        hits += len(answer.hits)
        empty += not answer.hits
    if again is None:
        writer.writerow(HEADER)
    return hits, {"search/without_hits": float(empty)} if empty else {}
