"""``cross-modal duplicates``: the near-duplicates of a gallery, their groups, and what splits share."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.amounts import counted
from cross_modal_mlflow.arguments import parse
from cross_modal_mlflow.command_line import Call
from cross_modal_mlflow.word_lists import gather_words

if TYPE_CHECKING:
    from cross_modal.gallery.gallery import Gallery
    from cross_modal_mlflow.duplicates_found import Found, Threshold

EXAMPLES = """\
examples:
  cross-modal duplicates refs.gallery --threshold 0.95
  cross-modal duplicates refs.gallery --false-accept-rate 0.0001 --out pairs.csv --html pairs.html
  cross-modal duplicates refs.gallery --across-splits                     leakage: what is in train and in test
  cross-modal duplicates refs.gallery --of text --where label=greek       paraphrases

Pictures are compared with pictures and texts with texts, every one with every other, exactly. Without --threshold the
model's own one is taken, from which on it holds two items to be of one class; near-duplicates usually lie well above
it. Groups are chains: what is alike to a member belongs to the group."""


@dataclass
class DuplicatesOptions:
    """What is compared, and from where on it is alike.

    Attributes:
        gallery: The gallery: a folder, milvus:FILE.db or milvus:http://HOST:PORT.
        model: The gallery's model, where it is no longer where the gallery says; another one is refused.
        threshold: The score from which two items are near-duplicates: a cosine, or minus a distance.
        false_accept_rate: In place of a threshold: that at which this share of pairs of different classes comes
            through, by the model's calibration.
        across_splits: Only pairs of items of two different splits.
        of: Pictures only, or texts only.
        where: Only among references that fulfil these conditions.
        top: How many pairs and groups are shown.
        limit: How many pairs of a kind at most; more are refused before they fill the memory.
        out: The CSV file for all pairs; - is the terminal.
        html: Write the groups, with pictures, as one page to this file.
    """

    gallery: str = ""
    model: str | None = None
    threshold: float | None = None
    false_accept_rate: float | None = None
    across_splits: bool = False
    of: Literal["any", "image", "text"] = "any"
    where: list[str] = field(default_factory=list)
    top: int = 10
    limit: int = 10_000_000
    out: str | None = None
    html: str | None = None


def run(call: Call) -> int:
    """Runs the command."""
    options = parse(
        DuplicatesOptions,
        gather_words(call.arguments, DuplicatesOptions, ["where"]),
        command=call.command,
        examples=EXAMPLES,
        usage="GALLERY [--threshold T | --false-accept-rate RATE] [--across-splits] [options]",
        positionals=["gallery"],
    )
    check(options)
    from cross_modal.gallery.filter import Filter
    from cross_modal.gallery.gallery import Gallery
    from cross_modal_mlflow.duplicates_found import find_duplicates, kinds_compared
    from cross_modal_mlflow.gallery_progress import counting
    from cross_modal_mlflow.summary import stderr

    where = Filter.parse(options.where)
    with Gallery.open(options.gallery) as gallery:
        thresholds = _thresholds(options, gallery, kinds_compared(gallery, options.of, where))
        with counting(stderr(), "comparisons") as progress:
            found = find_duplicates(
                gallery,
                thresholds,
                where=where,
                across_splits=options.across_splits,
                limit=options.limit,
                progress=progress,
            )
        _show(options, gallery, found, thresholds)
        _report(call, options, gallery, found, thresholds)
    return 0


def check(options: DuplicatesOptions) -> None:
    """Refuses options that contradict each other, before a gallery is read.

    Raises:
        CrossModalError: In one line.
    """
    if not options.gallery:
        raise CrossModalError("duplicates: expected a GALLERY, found none")
    rate = options.false_accept_rate
    if options.threshold is not None and not math.isfinite(options.threshold):
        raise CrossModalError(f"--threshold: expected a number, found {options.threshold}")
    if rate is not None and options.threshold is not None:
        raise CrossModalError("--threshold: expected it or --false-accept-rate, found both")
    if rate is not None and not 0 < rate < 1:
        raise CrossModalError(f"--false-accept-rate: expected a number between 0 and 1, found {rate}")
    for name in ("top", "limit"):
        if getattr(options, name) < 1:
            raise CrossModalError(f"--{name}: expected at least 1, found {getattr(options, name)}")
    for name in ("out", "html"):
        path = getattr(options, name)
        if path is not None and path != "-" and not Path(path).absolute().parent.is_dir():
            raise CrossModalError(f"--{name}: expected a folder that exists, found none at {Path(path).parent}")


def _thresholds(options: DuplicatesOptions, gallery: Gallery, kinds: list[str]) -> dict[str, Threshold]:
    from cross_modal_mlflow.duplicates_found import Threshold, calibrated_thresholds

    if options.threshold is not None:
        euclidean = gallery.binding.metric == "euclidean"
        if options.threshold > (0 if euclidean else 1):
            highest = "0, since scores are minus distances here" if euclidean else "1, since scores are cosines here"
            raise CrossModalError(f"--threshold: expected at most {highest}, found {options.threshold}")
        return {kind: Threshold(options.threshold, "given") for kind in kinds}
    from cross_modal_mlflow.gallery_model import open_bound
    from cross_modal_mlflow.store import open_store

    bound = open_bound(options.gallery, options.model, open_store)
    return calibrated_thresholds(bound.folder, gallery.binding.metric, kinds, options.false_accept_rate)


def _show(options: DuplicatesOptions, gallery: Gallery, found: Found, thresholds: dict[str, Threshold]) -> None:
    """Prints tables and sentences; writes the CSV file and the page."""
    from cross_modal_mlflow.duplicates_table import groups_table, leak_lines, pairs_table, write_pairs
    from cross_modal_mlflow.report import print_lines
    from cross_modal_mlflow.summary import stderr, stdout

    to_terminal = options.out == "-"
    console = stderr() if to_terminal else stdout()  # the pairs have the terminal for themselves
    said = _said(options, gallery, found, thresholds)
    print_lines(console, said)
    if len(found.pairs):
        console.print(pairs_table(found, options.top))
        console.print(groups_table(found, options.top))
    print_lines(console, leak_lines(found))
    if options.across_splits and not found.leaks:
        print_lines(console, ["no split shares anything with another one"])
    if options.out is not None:
        write_pairs(found, options.out)
        print_lines(console, [] if to_terminal else [f"pairs: {options.out}"])
    if options.html is not None:
        from cross_modal_mlflow.duplicates_page import write_duplicates

        write_duplicates(Path(options.html), gallery, found, said)
        print_lines(console, [f"page: {options.html}"])
    print_lines(stderr(), [f"note: {note}" for note in _notes(found, thresholds)])


def _said(options: DuplicatesOptions, gallery: Gallery, found: Found, thresholds: dict[str, Threshold]) -> list[str]:
    kinds = " and ".join(
        f"{count:,} {'pictures' if kind == 'image' else 'texts'} from {thresholds[kind].value:.4f}"
        f"{'' if thresholds[kind].chosen_by == 'given' else f' ({thresholds[kind].chosen_by})'}"
        for kind, count in found.compared.items()
    )
    counts = found.metrics()
    across = "across splits " if options.across_splits else ""
    return [
        f"{gallery.location}: {kinds}, {found.comparisons:,} comparisons {across}"
        f"in {found.seconds['comparison']:.1f} s",
        f"{counted(len(found.pairs), 'pair')}, {counted(len(found.sizes), 'group')}, "
        f"{counted(int(counts['duplicates/items']), 'item')}; "
        f"{counted(int(counts['duplicates/identical_pairs']), 'pair')} of the same bytes, "
        f"{counts['duplicates/other_label_pairs']:,.0f} of different labels",
    ]


def _notes(found: Found, thresholds: dict[str, Threshold]) -> list[str]:
    """What to know about thresholds of a calibration."""
    notes = [note for threshold in thresholds.values() for note in threshold.notes]
    rates = [threshold.false_accept for threshold in thresholds.values() if threshold.false_accept is not None]
    if rates:
        notes.append(
            f"this threshold was made to tell classes apart: of pairs of different classes {max(rates):.2%} come "
            f"through, of {found.comparisons:,} comparisons up to {max(rates) * found.comparisons:,.0f}; "
            "--threshold asks for more likeness"
        )
    return notes


def _report(
    call: Call, options: DuplicatesOptions, gallery: Gallery, found: Found, thresholds: dict[str, Threshold]
) -> None:
    """Writes ``--json``."""
    if call.json is None:
        return
    from cross_modal_mlflow.duplicates_table import group_rows, pair_rows
    from cross_modal_mlflow.report import Report, write_json

    listed = [
        {name: value for name, value in group.items() if name != "rows"} for group in group_rows(found, options.top, 20)
    ]
    about: dict[str, Any] = {
        "gallery": gallery.location,
        "version": gallery.version,
        "references": len(gallery),
        "model": gallery.binding.model,
        "digest": gallery.binding.digest,
        "metric": gallery.binding.metric,
        "compared": found.compared,
        "thresholds": {kind: asdict(threshold) for kind, threshold in thresholds.items()},
        "across_splits": options.across_splits,
        "where": " ".join(options.where),
        "top": options.top,
        "pairs": pair_rows(found, 0, options.top).to_pylist(),
        "groups": listed,
        "leaks": [asdict(leak) for leak in found.leaks],
        "notes": _notes(found, thresholds),
    }
    write_json(Report(call.command, about, found.metrics(), found.seconds), call.json)
