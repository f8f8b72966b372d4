"""``cross-modal verify``: are these two the same? Answers with a threshold and the error rates to expect of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from cross_modal.configuration import DataConfig
from cross_modal.errors import CrossModalError
from cross_modal_mlflow.arguments import parse
from cross_modal_mlflow.command_line import Call
from cross_modal_mlflow.verify_options import VerifyOptions

if TYPE_CHECKING:
    from rich.console import Console

    from cross_modal_mlflow.verification_answer import Answer, Verifier
    from cross_modal_mlflow.verification_run import FileReport

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
SAME, DIFFERENT = 0, 1
EXAMPLES = """\
examples:
  cross-modal verify runs:/RUN_ID/model one.png other.png                 two pictures
  cross-modal verify model/ "how do I reset it" "reset instructions"      two sentences
  cross-modal verify model/ shoe.jpg "red running shoe, size 42"          a picture and a text
  cross-modal verify models:/signatures@champion new.png --reference 1.png 2.png 3.png --how identity
  cross-modal verify model/ one.png other.png --false-accept-rate 0.001 --exit-code && echo same
  cross-modal verify model/ --pairs pairs.csv --out answers.csv           image_a,text_a,image_b,text_b and perhaps same

A and B are pictures where they name a picture file, else texts; --image-a, --text-a, --image-b and --text-b say which,
and an item may have both. With --exit-code: 0 the same, 1 different, 2 an error. Thresholds, probabilities and error
rates come with the model: training learns them on its validation pairs or classes."""


def run(call: Call) -> int:
    """Runs the command; the exit code is 1 for "different" where that was asked for."""
    options = parse(
        VerifyOptions,
        whole_references(call.arguments),
        command=call.command,
        examples=EXAMPLES,
        usage="MODEL A B [options]\n"
        "       cross-modal verify MODEL A --reference FILE … [options]\n"
        "       cross-modal verify MODEL --pairs FILE [--out FILE] [options]",
        positionals=["model", "a", "b"],
    )
    check(options)
    sides = {} if options.pairs else {name: side_of(options, name) for name in sides_of(options)}
    from cross_modal_mlflow.models import model_folder
    from cross_modal_mlflow.store import open_store
    from cross_modal_mlflow.verification_answer import Verifier

    folder = model_folder(options.model, open_store)
    verifier = Verifier.load(folder, options.items, options.false_accept_rate)
    if options.pairs is not None:
        _verify_file(call, options, verifier)
        return SAME
    answer = _answer(options, verifier, sides)
    _show(call, options, verifier, answer)
    if not options.exit_code:
        return SAME
    if answer.same is None:
        raise CrossModalError("--exit-code: expected a model with a threshold, found one without a calibration")
    return SAME if answer.same else DIFFERENT


def whole_references(words: list[str]) -> list[str]:
    """The words with those after ``--reference`` as one list, so that none is cut at its blanks and commas.

    >>> whole_references(["m", "--reference", "a b.png", "c.png", "--exit-code"])
    ['m', '--reference=["a b.png", "c.png"]', '--exit-code']
    """
    found, rest = list[str](), list(words)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        if name != "--reference":
            found.append(word)
            continue
        taken = [value] if equals else []
        while not equals and rest and not rest[0].startswith("--"):
            taken.append(rest.pop(0))
        found.append(f"--reference={json.dumps(taken)}" if taken else word)
    return found


def check(options: VerifyOptions) -> None:
    """Refuses options that contradict each other, before a model is read.

    Raises:
        CrossModalError: In one line.
    """
    if not options.model:
        raise CrossModalError("verify: expected a MODEL (runs:/ID/model, models:/NAME@ALIAS or a folder), found none")
    rate = options.false_accept_rate
    if rate is not None and not 0 < rate < 1:
        raise CrossModalError(f"--false-accept-rate: expected a number between 0 and 1, found {rate}")
    single = [name for name in ("a", "image_a", "text_a", "b", "image_b", "text_b", "reference", "exit_code")
              if getattr(options, name)]  # fmt: skip
    if options.pairs is not None and single:
        raise CrossModalError(f"--pairs: expected it alone, found {single[0].replace('_', '-')} beside it")
    if options.pairs is None and options.out is not None:
        raise CrossModalError("--out: expected --pairs FILE beside it, found none")
    if options.pairs is None and options.no_track:
        raise CrossModalError("--no-track: expected --pairs FILE beside it, found none (other answers are not tracked)")
    if options.reference and (options.b or options.image_b or options.text_b):
        raise CrossModalError("--reference: expected it in place of B, found both")
    if options.how != "mean" and len(options.reference) < 1:
        raise CrossModalError(f"--how {options.how}: expected --reference FILE … beside it, found none")


def sides_of(options: VerifyOptions) -> tuple[str, ...]:
    """The sides that the options name themselves."""
    return ("a",) if options.reference else ("a", "b")


def side_of(options: VerifyOptions, name: str) -> tuple[str | None, str | None]:
    """Picture and text of a side.

    Raises:
        CrossModalError: Nothing there, said twice, or a picture that does not exist.
    """
    word, image, text = (getattr(options, f"{prefix}{name}") for prefix in ("", "image_", "text_"))
    if word and (image or text):
        raise CrossModalError(f"{name.upper()}: expected {word!r} or --image-{name} and --text-{name}, found both")
    if word:
        return picture_or_text(word)
    if not image and not text.strip():
        raise CrossModalError(f"verify: expected {name.upper()} (a picture file or a text), found none")
    if image and not Path(image).is_file():
        raise CrossModalError(f"--image-{name}: expected a picture file, found nothing at {image}")
    return image or None, text or None


def picture_or_text(word: str) -> tuple[str | None, str | None]:
    """A word as a picture, where it is called like one, or as a text.

    Raises:
        CrossModalError: It is called like a picture, but no such file is there; or it is empty.

    >>> picture_or_text("a sentence.")
    (None, 'a sentence.')
    """
    if not word.strip():
        raise CrossModalError("verify: expected a picture file or a text, found an empty one")
    if not word.lower().endswith(PICTURES):
        return None, word
    if Path(word).is_file():
        return word, None
    if any(letter.isspace() for letter in word):  # "what is a .png"
        return None, word
    raise CrossModalError(f"verify: expected a picture, found nothing at {word} (--text-a and --text-b make it a text)")


def _answer(options: VerifyOptions, verifier: Verifier, sides: dict[str, tuple[str | None, str | None]]) -> Answer:
    from cross_modal.data.items import Items
    from cross_modal.data.sources import check_pictures

    every = [*sides.values(), *(picture_or_text(word) for word in options.reference)]
    items = Items.of(images=[image for image, _ in every], texts=[text for _, text in every], source="verify")
    check_pictures(items, DataConfig(workers=options.items.workers, max_pixels=options.items.max_pixels))
    if options.reference:
        return verifier.answer_by_references(items, options.reference, options.how)
    return verifier.answer(items)


def _show(call: Call, options: VerifyOptions, verifier: Verifier, answer: Answer) -> None:
    """Prints the answer and writes ``--json``."""
    from cross_modal_mlflow.report import Report, print_lines, write_json
    from cross_modal_mlflow.summary import stderr, stdout

    if call.json is not None:
        about = {
            **_protocol(options, verifier),
            "a": [cell for cell in (options.a, options.image_a, options.text_a) if cell],
            "b": options.reference or [cell for cell in (options.b, options.image_b, options.text_b) if cell],
            "comparison": answer.comparison,
            "decision": None if answer.same is None else "same" if answer.same else "different",
            "chosen_by": answer.chosen_by,
            "prior": answer.prior,
            "notes": answer.notes,
        } | ({"how": options.how} if options.reference else {})
        write_json(Report(call.command, about, answer.metrics()), call.json)
    print_lines(stdout(), answer.lines())
    print_lines(stderr(), [f"note: {note}" for note in answer.notes])


def _protocol(options: VerifyOptions, verifier: Verifier) -> dict[str, object]:
    learned_on = {} if verifier.calibration is None else dict(verifier.calibration.provenance)
    return {"model": options.model, "score": verifier.scorer.name, "calibrated_on": learned_on}


def _verify_file(call: Call, options: VerifyOptions, verifier: Verifier) -> None:
    """Answers a file, prints what came of it and writes ``--json``."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from cross_modal_mlflow.report import write_json
    from cross_modal_mlflow.store import open_store
    from cross_modal_mlflow.summary import stderr, stdout
    from cross_modal_mlflow.verification_run import report_file

    out = None if options.out is None else Path(options.out)
    if out is not None and str(out) != "-" and not out.absolute().parent.is_dir():
        raise CrossModalError(f"--out: expected a folder that exists, found none at {out.absolute().parent}")
    console = stderr()
    columns = SpinnerColumn(), TextColumn("{task.completed:,} pairs"), TimeElapsedColumn()
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("pairs", total=None)
        about = _protocol(options, verifier)
        found = report_file(options, verifier, about, open_store, lambda done: bar.advance(task, done))
    if call.json is not None:
        write_json(found.report, call.json)
    _show_file(console if str(out) == "-" else stdout(), options, found)  # answers have the terminal alone


def _show_file(console: Console, options: VerifyOptions, found: FileReport) -> None:
    """Prints what came of a file."""
    from cross_modal.verification.comparison import in_words
    from cross_modal_mlflow.report import metric_table, print_lines

    result, seconds = found.result, found.report.seconds["scoring"]
    kinds = ", ".join(f"{count:,} {in_words(kind)}" for kind, count in result.comparisons.items())
    decided = f": {result.same:,} same, {result.different:,} different" if result.same + result.different else ""
    print_lines(console, [f"verify: {options.pairs}, {result.rows:,} pairs ({kinds}){decided}"])
    if result.metrics:
        console.print(metric_table(result.metrics))
    lines = [f"skipped: {bad}" for bad in result.skipped[:5]]
    if len(result.skipped) > 5:
        lines.append(f"skipped: {len(result.skipped) - 5} more")
    lines += [f"note: {note}" for note in result.notes]
    lines.append(f"time: {seconds:.1f} s, {result.rows / max(seconds, 1e-9):,.0f} pairs/s, {result.encoded:,} items")
    if options.out is not None and options.out != "-":
        lines.append(f"answers: {options.out}")
    if found.store is not None:
        shown = [f"  {line}" for line in found.store.show]
        lines += [f"run:  {found.report.run_id}", "", "see it in MLflow:", *shown]
    print_lines(console, lines)
