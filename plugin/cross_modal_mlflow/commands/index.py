"""``cross-modal index``: writes reference embeddings into a gallery, and looks after what is in it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.arguments import parse
from cross_modal_mlflow.command_line import Call
from cross_modal_mlflow.index_options import IndexOptions
from cross_modal_mlflow.word_lists import gather_words

if TYPE_CHECKING:
    from cross_modal.gallery.gallery import Gallery
    from cross_modal.gallery.indexing import IndexResult

EXAMPLES = """\
examples:
  cross-modal index runs:/RUN_ID/model --gallery refs.gallery            the test split of what it was trained on
  cross-modal index models:/birds@champion --data photos/ --split all --gallery birds.gallery
  cross-modal index model/ --data items.csv --of each --gallery milvus:http://host:19530#items
  cross-modal index --gallery refs.gallery --show --where label=cat
  cross-modal index --gallery refs.gallery --delete old.png older.png
  cross-modal index --gallery refs.gallery --versions
  cross-modal index --gallery refs.gallery --export refs.parquet

A gallery is a folder (LanceDB), or milvus:FILE.db or milvus:http://HOST:PORT#NAME (needs cross-modal[milvus]). It holds
the embeddings of one model and refuses every other one. Indexing again encodes what is new or changed and nothing else;
a run that was killed goes on where it stopped. Rows are called by the manifest's column id, else by path; its other
columns are kept to filter by. A filter is column=value, with != < <= > >= and ~ (contains);
label=a|b is either."""
UPKEEP = ("show", "delete", "versions", "tag", "export", "ann")


def run(call: Call) -> None:
    """Runs the command."""
    options = _parse(call, None)
    check(options)
    if not options.model:
        from cross_modal_mlflow.gallery_upkeep import look_after

        look_after(call, options)
        return
    from cross_modal.encoders.saved_twin import read_card
    from cross_modal_mlflow.models import model_folder
    from cross_modal_mlflow.store import open_store

    folder = model_folder(options.model, open_store)
    _index(call, _with_card(call, read_card(folder)["card"]), folder)


def check(options: IndexOptions) -> None:
    """Refuses options that contradict each other, before a model is read.

    Raises:
        CrossModalError: In one line.
    """
    if not options.gallery:
        raise CrossModalError("index: expected --gallery PATH_OR_URI, found none")
    asked = [name for name in UPKEEP if getattr(options, name) not in (None, False)]
    if options.model and asked:
        raise CrossModalError(f"--{asked[0]}: expected it without a MODEL, found {options.model}")
    if not options.model and not asked:
        raise CrossModalError(
            "index: expected a MODEL to index with, or one of " + ", ".join(f"--{name}" for name in UPKEEP)
        )
    if len(asked) > 1:
        raise CrossModalError(f"--{asked[1]}: expected one thing at a time, found --{asked[0]} beside it")
    if options.where and not options.show and options.delete is None:
        raise CrossModalError("--where: expected --show or --delete beside it, found neither")
    if options.delete is not None and bool(options.delete) == bool(options.where):
        found = "both" if options.where else "neither"
        raise CrossModalError(f"--delete: expected ids, or --where FILTER, found {found}")
    if options.limit < 1:
        raise CrossModalError(f"--limit: expected at least 1, found {options.limit}")


def _parse(call: Call, config: str | None) -> IndexOptions:
    words, bare = list(call.arguments), "--delete"
    if bare in words and (words[-1] == bare or words[words.index(bare) + 1].startswith("--")):
        words[words.index(bare)] = "--delete=[]"  # without ids: those of --where
    given = any(word.startswith("--delete") for word in words)
    lists = ["where", *(["delete"] if given and "--delete=[]" not in words else [])]
    return parse(
        IndexOptions,
        gather_words(words, IndexOptions, lists),
        command=call.command,
        examples=EXAMPLES,
        usage="MODEL [--data SOURCE] --gallery PATH [options]\n"
        "       cross-modal index --gallery PATH --show | --delete | --versions | --tag | --export | --ann [options]",
        positionals=["model"],
        config=config,
    )


def _with_card(call: Call, card: dict[str, Any]) -> IndexOptions:
    """The options once more, over what the model's card says: same data, same splits, unless told otherwise."""
    import yaml

    trained = card.get("experiment", {})
    below = {"data": card.get("data")} | ({"items": trained["items"]} if "items" in trained else {})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "card.yaml"
        path.write_text(yaml.safe_dump(below), encoding="utf-8")
        return _parse(call, str(path))


def _index(call: Call, options: IndexOptions, folder: Path) -> None:
    """Indexes and says what was done."""
    from cross_modal.gallery.binding import Binding
    from cross_modal.gallery.gallery import Gallery
    from cross_modal.gallery.indexing import IndexConfig, index_items
    from cross_modal.gallery.item_ids import reference_rows
    from cross_modal_mlflow.device import on_device
    from cross_modal_mlflow.gallery_cohort import attach_cohort
    from cross_modal_mlflow.gallery_data import read_gallery_data
    from cross_modal_mlflow.gallery_progress import counting
    from cross_modal_mlflow.phases import Clock, working
    from cross_modal_mlflow.summary import stderr

    if options.data is None:
        raise CrossModalError(f"index: expected --data SOURCE, as {options.model} does not say what it was trained on")
    clock, console = Clock(), stderr()
    with clock.phase("data"), working(console, f"reading {options.data}"):
        data = read_gallery_data(options.data, options)
    twin, binding = Binding.of_folder(folder, _lasting(options.model))
    reference_rows(data.chosen, twin, options.of)  # nothing to encode leaves no empty gallery behind
    present = data.present(twin, options.prefix) if options.prune else None
    settings = IndexConfig(
        options.of,
        options.thumbnail,
        options.batch,
        prune=options.prune,
        prefix=options.prefix,
        replace=options.replace,
    )
    with Gallery.create(options.gallery, binding) as gallery:
        with clock.phase("indexing"), counting(console, "indexing") as tell:
            result = index_items(
                gallery,
                on_device(twin),
                data.chosen,
                settings,
                options.items,
                tell,
                ids=data.ids,
                facts=data.facts,
                present=present,
                binding=binding,
            )
        with clock.phase("cohort"), working(console, "embedding the cohort"):
            notes = [*data.notes, *attach_cohort(gallery, twin, data.items, options)]
        _say(call, options, gallery, result, clock.seconds, notes)


def _lasting(model: str) -> str:
    """A model's reference that still holds in another folder.

    >>> _lasting("runs:/7/model")
    'runs:/7/model'
    """
    return str(Path(model).absolute()) if Path(model).is_dir() else model


def _say(
    call: Call,
    options: IndexOptions,
    gallery: Gallery,
    result: IndexResult,
    seconds: dict[str, float],
    notes: list[str],
) -> None:
    import dataclasses

    from cross_modal_mlflow.report import Report, print_lines, write_json
    from cross_modal_mlflow.summary import stdout

    counts = {name: value for name, value in dataclasses.asdict(result).items() if name != "seconds"}
    if call.json is not None:
        about = {
            "gallery": gallery.location,
            "version": gallery.version,
            "references": len(gallery),
            "model": gallery.binding.model,
            "digest": gallery.binding.digest,
            "metric": gallery.binding.metric,
            "dim": gallery.binding.dim,
            "data": options.data,
            "split": options.split,
            "of": options.of,
            "notes": notes,
        }
        metrics = {f"index/{name}": float(value) for name, value in counts.items()}
        write_json(Report(call.command, about, metrics, seconds), call.json)
    removed = f", {result.removed:,} removed" if options.prune else ""
    rate = f", {result.encoded / max(result.seconds, 1e-9):,.0f} items/s" if result.encoded else ""
    lines = [
        f"index: {result.added:,} added, {result.changed:,} changed, {result.unchanged:,} unchanged{removed}; "
        f"{result.encoded:,} encoded in {result.seconds:.1f} s{rate}",
        f"gallery: {gallery.location}, version {gallery.version}, {len(gallery):,} references, "
        f"{gallery.binding.dim} numbers each, {gallery.binding.metric}",
        f"model: {gallery.binding.in_words}",
        *(f"note: {note}" for note in notes),
        "",
        "next:",
        f'  cross-modal search {gallery.location} --text "WHAT YOU LOOK FOR"',
        f"  cross-modal search {gallery.location} --image PICTURE",
        f"  cross-modal identify {gallery.location} PICTURE",
        f"  cross-modal duplicates {gallery.location}",
    ]
    print_lines(stdout(), lines)
