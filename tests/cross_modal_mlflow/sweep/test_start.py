"""What a sweep refuses before a study or a run exists."""

from pathlib import Path

import pytest

from cross_modal_mlflow.command_line import main

PAIRS = "text_a,text_b,same,split\na,b,1,train\nc,d,0,validation\n"
TRIPLETS = "text_anchor,text_positive,text_negative\na,b,c\n"
ITEMS = "text,label,split\na,b,train\n"


@pytest.mark.parametrize(
    ("table", "words", "line"),
    [
        (PAIRS, [], "sweep: expected data with classes (image, text, label), found pairs in"),
        (TRIPLETS, [], "sweep: expected data with classes (image, text, label), found triplets in"),
        (PAIRS, ["--model", "folder"], "sweep: expected data with classes (image, text, label), found pairs in"),
        (ITEMS, ["--pairs.from-classes"], "--pairs.from-classes: a sweep searches losses over classes"),
    ],
)
def test_pairs_are_refused_in_one_line_and_leave_nothing(
    table: str,
    words: list[str],
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text(table)
    assert main(["sweep", "--data", "data.csv", "--trials", "1", *words]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"cross-modal: {line}")
    assert said.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["data.csv"]
