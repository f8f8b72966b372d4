import io

from rich.console import Console

from cross_modal_mlflow.counting import counting, summed


def test_a_terminal_shows_how_much_is_done_of_how_much() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with counting(console, "fitting") as count:
        count(3, 12, "tip_adapter 4 shots")
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "fitting" in shown
    assert "3/12" in shown
    assert "tip_adapter 4 shots" in shown


def test_a_log_file_stays_silent() -> None:
    console = Console(file=io.StringIO())
    with counting(console, "fitting") as count:
        count(3, 12, "tip_adapter 4 shots")
    assert console.file.getvalue() == ""  # type: ignore[attr-defined]


def test_more_and_more_becomes_so_many_in_all() -> None:
    heard: list[int] = []
    more = summed(lambda done, total, _: heard.append(done), 7)
    for number in (2, 0, 5):
        more(number)
    assert heard == [2, 2, 7]
