import io

from rich.console import Console

from cross_modal_mlflow.progress import Listeners, Progress


def train(console: Console) -> None:
    with Progress(20, console) as progress:
        for step in range(1, 21):
            progress.on_step(step, {"train/loss": 2.0, "train/items_per_second": 1000.0})
            if step % 10 == 0:
                progress.on_validation(step, {"validation/score": 0.75})
        progress.on_message("the [miner] kept nothing")


def test_off_a_terminal_one_line_a_validation() -> None:
    file = io.StringIO()
    train(Console(file=file, width=40))
    lines = file.getvalue().splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("step 10/20  loss 2.000  validation 0.7500  1,000 items/s")
    assert lines[2] == "note: the [miner] kept nothing"
    assert "\x1b" not in file.getvalue()


def test_on_a_terminal_a_bar_with_the_facts() -> None:
    file = io.StringIO()
    train(Console(file=file, width=120, force_terminal=True))
    shown = file.getvalue()
    for fact in ("training", "20/20", "loss 2.000", "validation 0.7500", "1,000 items/s"):
        assert fact in shown


def test_listeners_tell_all() -> None:
    heard: list[tuple] = []

    class Ear:
        def on_step(self, step: int, metrics: dict) -> None:
            heard.append((self, step))

        on_validation = on_step

        def on_message(self, text: str) -> None:
            heard.append((self, text))

    one, two = Ear(), Ear()
    both = Listeners(one, two)
    both.on_step(1, {})
    both.on_validation(2, {})
    both.on_message("x")
    assert heard == [(one, 1), (two, 1), (one, 2), (two, 2), (one, "x"), (two, "x")]
