"""``cross-modal identify``: who of the enrolled is it, or nobody? With a threshold for a gallery of this size."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cross_modal.configuration import DataConfig
from cross_modal.errors import CrossModalError
from cross_modal_mlflow.arguments import parse
from cross_modal_mlflow.command_line import Call
from cross_modal_mlflow.identify_options import IdentifyOptions
from cross_modal_mlflow.word_lists import gather_words

if TYPE_CHECKING:
    import numpy as np

    from cross_modal.encoders.twin import TwinEncoder
    from cross_modal.verification.references import FarReference
    from cross_modal_mlflow.gallery_identifier import Identifier

SHOWN = 20  # far references on the terminal, the farthest first
EXAMPLES = """\
examples:
  cross-modal identify staff.gallery door.png                      who is it, or nobody
  cross-modal identify staff.gallery 1.png 2.png --rate 0.001      one stranger in a thousand may be taken for somebody
  cross-modal identify staff.gallery --data probes.csv             measure: image,label; other labels are strangers
  cross-modal identify staff.gallery --check                       references that are unlike their fellows
  cross-modal index MODEL --data staff.csv --gallery staff.gallery --cohort others.csv

The threshold is settled on strangers to this very gallery: on its cohort (people whom nobody enrolled), and on the
enrolled as strangers to each other. It moves with the number of identities; the threshold of `verify`, for pairs, would
let most strangers in. Telling enrolled ones from strangers is hard: look at "named rightly" before you rely on it."""


def run(call: Call) -> int:
    """Runs the command."""
    options = parse(
        IdentifyOptions,
        gather_words(call.arguments, IdentifyOptions, ["query", "where"], positional="query"),
        command=call.command,
        examples=EXAMPLES,
        usage="GALLERY PICTURE… [options]\n"
        "       cross-modal identify GALLERY --data PROBES [options]\n"
        "       cross-modal identify GALLERY --check",
        positionals=["gallery"],
    )
    check(options)
    from cross_modal.gallery.filter import Filter
    from cross_modal_mlflow.gallery_identifier import Identifier
    from cross_modal_mlflow.gallery_model import open_bound
    from cross_modal_mlflow.store import open_store

    where = Filter.parse(options.where)
    bound = open_bound(options.gallery, options.model, open_store)
    identifier = Identifier.of(bound.gallery, options.rate, options.how, where)
    if options.check:
        return _check(call, identifier, bound.folder)
    if options.data is not None:
        from cross_modal_mlflow.identify_measurement import measure_probes
        from cross_modal_mlflow.summary import print_report, stderr, stdout

        store = open_store()
        report, notes = measure_probes(options, identifier, bound.twin, store, stderr())
        title = f"identify: {options.data} in {options.gallery}, {len(identifier.enrolment):,} identities enrolled"
        print_report(stdout(), report, notes, store, call.json, title=title)
        return 0
    _answer(call, options, identifier, bound.twin)
    return 0


def check(options: IdentifyOptions) -> None:
    """Refuses options that contradict each other, before a model is read.

    Raises:
        CrossModalError: In one line.
    """
    if not options.gallery:
        raise CrossModalError("identify: expected a GALLERY, found none")
    if not 0 < options.rate < 1:
        raise CrossModalError(f"--rate: expected a number between 0 and 1, found {options.rate}")
    wanted = [name for name in ("query", "data", "check") if getattr(options, name)]
    if not wanted:
        raise CrossModalError("identify: expected pictures, --data PROBES or --check, found none of them")
    if len(wanted) > 1:
        raise CrossModalError(f"identify: expected one of pictures, --data and --check, found {len(wanted)}")
    if options.split is not None and options.data is None:
        raise CrossModalError("--split: expected --data PROBES beside it, found none")


def embed_queries(words: list[str], identifier: Identifier, twin: TwinEncoder, config: DataConfig) -> np.ndarray:
    """Embeddings of pictures, or of texts, as the gallery has them.

    Raises:
        CrossModalError: A picture that is not there or cannot be read.
    """
    import numpy as np

    from cross_modal.data.items import Items
    from cross_modal.data.sources import check_pictures
    from cross_modal.embed_items import open_pictures
    from cross_modal.encoders.embedding import embed_images, embed_texts

    if identifier.kind == "text":
        return embed_texts(twin, words)
    missing = next((word for word in words if not Path(word).is_file()), None)
    if missing is not None:
        raise CrossModalError(f"identify: expected a picture, found nothing at {missing}")
    items = check_pictures(
        Items.of(images=words, source="identify"), DataConfig(workers=config.workers, max_pixels=config.max_pixels)
    )
    return embed_images(twin, open_pictures(items, twin, config), np.arange(len(items)))


def _answer(call: Call, options: IdentifyOptions, identifier: Identifier, twin: TwinEncoder) -> None:
    from cross_modal_mlflow.gallery_identifier import answer_table, answers, in_words
    from cross_modal_mlflow.report import Report, print_lines, write_json
    from cross_modal_mlflow.summary import stderr, stdout

    began = time.perf_counter()
    queries = embed_queries(options.query, identifier, twin, options.items)
    embedded = time.perf_counter()
    found, calibration = identifier.identify(queries), identifier.calibration
    seconds = {"embedding": embedded - began, "identification": time.perf_counter() - embedded}
    if call.json is not None:
        protocol = {**identifier.about(), "rate": options.rate, "how": options.how}
        protocol["answers"] = answers(options.query, found)
        metrics = {} if calibration is None else calibration.metrics()
        write_json(Report(call.command, protocol, metrics, seconds), call.json)
    stdout().print(answer_table(options.query, found))
    print_lines(stdout(), [] if calibration is None else in_words(calibration))
    print_lines(stderr(), [f"note: {note}" for note in identifier.all_notes()])


def _check(call: Call, identifier: Identifier, folder: Path) -> int:
    from cross_modal_mlflow.report import Report, print_lines, write_json
    from cross_modal_mlflow.summary import stdout

    far = identifier.far_references(folder)
    enrolment = identifier.enrolment
    total = sum(map(len, far.values()))
    if call.json is not None:
        protocol = {**identifier.about()}
        protocol["far"] = [
            {"identity": who, "reference": each.name, "score": each.score, "expected": each.threshold}
            for who, each in _each(far)
        ]
        write_json(Report(call.command, protocol, {"identification/far_references": float(total)}), call.json)
    worst = sorted(((each.score, who, each) for who, each in _each(far)), key=lambda found: found[:2])
    lines = [f"{who}: {each.sentence()}" for _, who, each in worst[:SHOWN]]
    if total > SHOWN:
        lines.append(f"… and {total - SHOWN} more (--json FILE has them all)")
    single = int((enrolment.counts == 1).sum())
    lines.append(
        f"checked: {len(enrolment.references):,} references of {len(enrolment):,} identities, {total} far from their "
        "fellows" + (f"; {single} identities have one reference, nothing to compare it with" if single else "")
    )
    print_lines(stdout(), lines)
    return 0


def _each(far: Mapping[str, list[FarReference]]) -> list[tuple[str, FarReference]]:
    return [(who, each) for who, references in far.items() for each in references]
