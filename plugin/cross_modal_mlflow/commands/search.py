"""``cross-modal search``: the nearest references to a picture, a text, an item of the gallery, or a mix of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cross_modal.configuration import DataConfig
from cross_modal.errors import CrossModalError
from cross_modal_mlflow.arguments import parse
from cross_modal_mlflow.command_line import Call
from cross_modal_mlflow.word_lists import gather_words

if TYPE_CHECKING:
    from cross_modal_mlflow.gallery_query import Query
    from cross_modal_mlflow.gallery_search import Answer, Searcher

EXAMPLES = """\
examples:
  cross-modal search refs.gallery --image shoe.jpg
  cross-modal search refs.gallery --text "red running shoe" --top 5 --where split=test "price<50"
  cross-modal search refs.gallery --image shoe.jpg --text red --not leather
  cross-modal search refs.gallery --query "1 image:shoe.jpg + 0.5 text:red - 0.5 text:leather"
  cross-modal search refs.gallery --id shoes/17.jpg --by-class          the best item of each class, not itself
  cross-modal search refs.gallery --image shoe.jpg --rerank --html hits.html
  cross-modal search refs.gallery --queries queries.csv --out hits.csv

What is given counts 1 each, --not counts -0.5; --query says other weights. A file of queries has some of the columns
image, text, id and query, a row for each. Conditions of --where: label=a|b, price<20, split!=train, text~word."""


@dataclass
class SearchOptions:
    """What is looked for, and where.

    Attributes:
        gallery: The gallery: a folder, milvus:FILE.db or milvus:http://HOST:PORT.
        model: The gallery's model, where it is no longer where the gallery says; another one is refused.
        image: Picture files.
        text: Texts.
        id: Items of the gallery (they are left out of what is found).
        without: Texts that are not wanted (--not).
        query: All in one line: "1 image:FILE + 0.5 text:WORDS - 0.5 id:ID".
        queries: A CSV file of queries in place of one.
        top: How many hits a query.
        where: Only among references that fulfil these conditions.
        by_class: The best hit of each class in place of the best hits.
        rerank: Look at the best ones again, token by token (late interaction). Measure whether your model gains by
            it: on glyphs, whose twin was trained through its pooled embedding, it changed next to nothing.
        rerank_depth: How many are looked at again.
        rerank_weight: Share of the token scores in the new order, 0 to 1.
        html: Write what was found, with pictures, as one page to this file.
        out: With --queries: the CSV file for the hits; - is the terminal.
        items: How pictures are decoded.
    """

    gallery: str = ""
    model: str | None = None
    image: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    id: list[str] = field(default_factory=list)
    without: list[str] = field(default_factory=list)
    query: str = ""
    queries: str | None = None
    top: int = 10
    where: list[str] = field(default_factory=list)
    by_class: bool = False
    rerank: bool = False
    rerank_depth: int = 50
    rerank_weight: float = 0.25
    html: str | None = None
    out: str | None = None
    items: DataConfig = field(default_factory=DataConfig)


def run(call: Call) -> int:
    """Runs the command."""
    words = gather_words(
        call.arguments, SearchOptions, ["image", "text", "id", "without", "where"], aliases={"not": "without"}
    )
    options = parse(
        SearchOptions,
        words,
        command=call.command,
        examples=EXAMPLES,
        usage="GALLERY --image FILE | --text WORDS | --id ID | --query EQUATION [options]\n"
        "       cross-modal search GALLERY --queries FILE.csv [--out FILE.csv] [options]",
        positionals=["gallery"],
    )
    queries = check(options)
    from cross_modal_mlflow.search_answers import write_answers

    searcher = _searcher(options)
    if options.queries is not None:
        count, metrics = write_answers(searcher.answers(queries), options.out or "-")
        _report(
            call, options, searcher, [], {"search/queries": float(len(queries)), "search/hits": float(count), **metrics}
        )
        return 0
    (answer,) = searcher.answers(queries)
    _show(options, searcher, answer)
    _report(call, options, searcher, [answer], {"search/hits": float(len(answer.hits))})
    return 0


def check(options: SearchOptions) -> list[Query]:
    """The queries; refuses what can be refused before a model is read.

    Raises:
        CrossModalError: In one line.
    """
    from cross_modal_mlflow.gallery_query import queries_of_file, query_of

    if not options.gallery:
        raise CrossModalError("search: expected a GALLERY, found none")
    if options.top < 1:
        raise CrossModalError(f"--top: expected at least 1, found {options.top}")
    if options.rerank_depth < 1:
        raise CrossModalError(f"--rerank-depth: expected at least 1, found {options.rerank_depth}")
    if not 0 <= options.rerank_weight <= 1:
        raise CrossModalError(f"--rerank-weight: expected a number from 0 to 1, found {options.rerank_weight}")
    given = [name for name in ("image", "text", "id", "without", "query") if getattr(options, name)]
    if options.queries is None:
        if options.out is not None:
            raise CrossModalError("--out: expected --queries FILE.csv beside it, found none")
        return [query_of(options.image, options.text, options.id, options.without, options.query)]
    alone = {"without": "not"}
    if given or options.html:
        found = alone.get(given[0], given[0]) if given else "html"
        raise CrossModalError(f"--queries: expected it without --{found}, found both")
    return queries_of_file(Path(options.queries))


def _searcher(options: SearchOptions) -> Searcher:
    from cross_modal.gallery.filter import Filter
    from cross_modal_mlflow.gallery_model import open_bound
    from cross_modal_mlflow.gallery_reranking import TokenReranker
    from cross_modal_mlflow.gallery_search import Searcher, SearchSettings
    from cross_modal_mlflow.store import open_store

    where = Filter.parse(options.where)
    bound = open_bound(options.gallery, options.model, open_store)
    depth = options.rerank_depth if options.rerank else 0
    return Searcher(
        bound.gallery,
        bound.twin,
        options.items,
        SearchSettings(options.top, where, options.by_class, depth),
        TokenReranker(bound.gallery, bound.twin, options.items, options.rerank_weight) if options.rerank else None,
    )


def _show(options: SearchOptions, searcher: Searcher, answer: Answer) -> None:
    from cross_modal_mlflow.gallery_table import hits_table, shown
    from cross_modal_mlflow.report import print_lines
    from cross_modal_mlflow.summary import stderr, stdout

    console = stdout()
    print_lines(console, [shown(answer.query.equation)])
    if answer.hits:
        console.print(hits_table(answer.hits))
    else:
        print_lines(console, ["nothing else is there to be found"])
    print_lines(console, [answer.badge(len(searcher.gallery))])
    if options.html is not None:
        _write_html(Path(options.html), searcher, answer)
        print_lines(console, [f"page: {options.html}"])
    print_lines(stderr(), [f"note: {note}" for note in answer.notes])


def _write_html(path: Path, searcher: Searcher, answer: Answer) -> None:
    from cross_modal_mlflow.gallery_page import Section, gallery_page, write_page
    from cross_modal_mlflow.gallery_tiles import hit_tile, pictures_of, term_tiles

    gallery = searcher.gallery
    pictures = pictures_of(gallery, answer.hits)
    filtered = [f"only where {searcher.settings.where}"] if searcher.settings.where else []
    section = Section(
        heading="the best of each class" if searcher.settings.by_class else "nearest",
        tiles=[hit_tile(hit, pictures) for hit in answer.hits],
        asked=term_tiles(gallery, answer.query.terms),
        badge=answer.badge(len(gallery)),
        notes=[*filtered, *answer.notes],
    )
    about = f"gallery {gallery.location}, version {gallery.version}, model {gallery.binding.in_words}"
    write_page(path, gallery_page(answer.query.equation, [section], [about]))


def _report(
    call: Call, options: SearchOptions, searcher: Searcher, answers: Sequence[Answer], metrics: dict[str, float]
) -> None:
    """Writes ``--json``."""
    if call.json is None:
        return
    import dataclasses

    from cross_modal_mlflow.report import Report, write_json

    gallery = searcher.gallery
    about: dict[str, Any] = {
        "gallery": gallery.location,
        "version": gallery.version,
        "references": len(gallery),
        "searched": searcher.references,
        "model": gallery.binding.model,
        "digest": gallery.binding.digest,
        "metric": gallery.binding.metric,
        "top": options.top,
        "where": str(searcher.settings.where),
        "by_class": options.by_class,
        "rerank": {"depth": options.rerank_depth, "weight": options.rerank_weight} if options.rerank else None,
        "queries": options.queries,
    }
    for answer in answers:
        about |= {
            "query": answer.query.equation,
            "exact": answer.exact,
            "recall": answer.recall,
            "hits": [dataclasses.asdict(hit) for hit in answer.hits],
            "notes": list(answer.notes),
        }
    seconds = {name: value for name, value in searcher.spent.items() if name != "rerank" or options.rerank}
    write_json(Report(call.command, about, metrics, seconds), call.json)
