"""The table of hits says what is there, leaves out what is not, and prints text of the data as text."""

from __future__ import annotations

from rich.console import Console

from cross_modal_mlflow.gallery_table import Hit, badge, hits_table, shown


def printed(hits: list[Hit], **options: str) -> str:
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(hits_table(hits, **options))
    return console.export_text()


def test_columns_in_which_nothing_stands_are_left_out() -> None:
    head = printed([Hit(1, 0.5, "a")]).splitlines()[1]
    assert [word for word in head.split() if word.isalpha()] == ["rank", "score", "id"]
    head = printed([Hit(1, 0.5, "a", label="x"), Hit(2, 0.4, "b", kind="text", text="words")]).splitlines()[1]
    assert [word for word in head.split() if word.isalpha()] == ["rank", "score", "label", "text", "kind", "id"]


def test_a_hit_is_one_row_with_rank_score_and_id() -> None:
    page = printed([Hit(1, 0.91234, "shoes/1.png", label="shoe"), Hit(2, -3.5, "2", label="boot")], title="text: red")
    assert "text: red" in page.splitlines()[0]
    assert [word for word in page.splitlines()[4].split() if word != "│"] == ["1", "0.9123", "shoe", "shoes/1.png"]
    assert "-3.5000" in page


def test_reranked_hits_say_where_they_were() -> None:
    page = printed([Hit(1, 0.8, "b", before=7, tokens=0.61), Hit(2, 0.9, "a", before=1)]).splitlines()
    assert [word for word in page[1].split() if word.isalpha()] == ["rank", "score", "tokens", "before", "id"]
    assert [word for word in page[3].split() if word != "│"] == ["1", "0.8000", "0.6100", "7", "b"]
    assert [word for word in page[4].split() if word != "│"] == ["2", "0.9000", "–", "1", "a"]


def test_a_forgery_never_passes_for_its_label() -> None:
    assert "ada (not genuine)" in printed([Hit(1, 0.8, "b", label="ada", genuine=False)])


def test_markup_and_escape_sequences_of_the_data_do_nothing() -> None:
    page = printed([Hit(1, 0.5, "[red]id[/red]", label="\x1b[2Jlabel", text="a\nb\tc")])
    assert "[red]id[/red]" in page
    assert "\x1b" not in page
    assert "a b c" in page


def test_long_texts_are_cut_ids_never_are() -> None:
    page = printed([Hit(1, 0.5, "i" * 150, text="t" * 150)])
    assert "t" * 43 + "…" in page
    assert page.count("i") >= 150
    assert shown("x" * 10, 5) == "xxxx…"


def test_the_badge_is_honest() -> None:
    assert badge(exact=True, recall=None, references=30000, seconds=0.0031) == "exact, 30,000 references, 3.1 ms"
    assert badge(exact=True, recall=None, references=12, of=30000, seconds=1.25).startswith("exact, 12 of 30,000 ref")
    assert (
        badge(exact=False, recall=None, references=5, seconds=0.2) == "ANN, recall not measured, 5 references, 200 ms"
    )
    assert "measured recall 0.98" in badge(exact=False, recall=0.98, references=5, seconds=0.2)
    assert badge(exact=True, recall=None, references=1, seconds=0.2) == "exact, 1 reference, 200 ms"
