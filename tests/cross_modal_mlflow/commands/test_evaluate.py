from pathlib import Path

import pytest
from toys.axes import write_axes

from cross_modal_mlflow.command_line import main
from cross_modal_mlflow.store import open_store


def failure(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(argv) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--methods", "prototype"], "--methods: expected all or names of zero_shot, "),
        (["--kshot", "-1"], "shots: expected distinct numbers of at least 1, found [-1]"),
        (["--kshot", "0"], "shots: expected distinct numbers of at least 1, found []"),
        (["--kshot", "1", "--seeds=[]"], "seeds: expected distinct numbers of at least 0, found []"),
        (["--kshot", "1", "--views", "0"], "views of at least 1"),
        (["--kshot", "1", "--false-accept-rate", "2"], "false_accept_rate: expected a share"),
        (["--kshot", "1", "--csv", "."], "--csv: expected a file"),
        (["--kshot", "x"], "--kshot: expected whole numbers, found 'x'"),
        (["a-model", "--kshot", "1"], "expected --features alone or a MODEL with --data, found both, a MODEL too"),
    ],
)
def test_bad_settings_are_one_line_and_start_no_run(
    workplace: Path, words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    features = write_axes(workplace / "axes.npz")
    assert says in failure(["evaluate", *words, "--features", str(features)], capsys)
    store = open_store()
    assert store.client.search_runs([store.experiment_id]) == []


def test_the_help_names_every_method(capsys: pytest.CaptureFixture[str]) -> None:
    from cross_modal.fewshot.classifiers import METHODS as every

    assert main(["evaluate", "--help"]) == 0
    page = capsys.readouterr().out
    assert [name for name in every if name not in page] == []
    for option in ("--kshot", "--seeds", "--methods", "--allow-fewer", "--views", "--base-to-new", "--without-texts"):
        assert option in page


def test_a_features_file_is_looked_for_before_a_store_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    said = failure(["evaluate", "--features", "nix.npz"], capsys)
    assert "--features nix.npz: expected a file, found no such file" in said
    assert not list(tmp_path.iterdir())
