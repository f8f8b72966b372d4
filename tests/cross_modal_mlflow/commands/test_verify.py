"""``cross-modal verify``: its words, its answers and its exit codes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from toys.verification_models import write_model, write_picture

from cross_modal_mlflow.command_line import main
from cross_modal_mlflow.commands.verify import picture_or_text, side_of, whole_references
from cross_modal_mlflow.verify_options import VerifyOptions


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_model(tmp_path_factory.mktemp("model") / "twin"))


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_picture(tmp_path / "one.png", 1)
    write_picture(tmp_path / "other one, grey.png", 2)
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    """What the command prints: answers, or the one line of an error."""
    assert main(["verify", *words]) == code
    out, err = capsys.readouterr()
    return out if code != 2 else err


class TestWords:
    def test_a_picture_file_is_a_picture_and_all_else_a_text(self) -> None:
        assert picture_or_text("one.png") == ("one.png", None)
        assert picture_or_text("one.png is grey") == (None, "one.png is grey")
        assert picture_or_text("what is a file called .png") == (None, "what is a file called .png")

    @pytest.mark.parametrize("text", ["null", "12", "yes", "a: b", "[x]", "{x}", "- x", "x # y", '"x"', "~"])
    def test_texts_arrive_as_they_were_typed(
        self, capsys: pytest.CaptureFixture[str], model: str, text: str, place: Path
    ) -> None:
        said(capsys, model, text, "--text-b", text, "--json", "answer.json")
        about = json.loads((place / "answer.json").read_text())["protocol"]
        assert (about["a"], about["b"]) == ([text], [text])

    def test_a_side_may_have_a_picture_and_a_text(self) -> None:
        assert side_of(VerifyOptions(image_a="one.png", text_a="grey"), "a") == ("one.png", "grey")
        assert side_of(VerifyOptions(text_b="one.png"), "b") == (None, "one.png")

    def test_references_keep_their_blanks_and_commas(self) -> None:
        words = ["m", "--reference", "other one, grey.png", "one.png", "--how", "best"]
        assert whole_references(words)[1] == '--reference=["other one, grey.png", "one.png"]'

    @pytest.mark.parametrize(
        ("words", "line"),
        [
            ([], "verify: expected a MODEL"),
            (["MODEL", "a"], "verify: expected B (a picture file or a text), found none"),
            (["MODEL", "a", "no.png"], "verify: expected a picture, found nothing at no.png"),
            (["MODEL", "a", "b", "--image-b", "one.png"], "B: expected 'b' or --image-b and --text-b, found both"),
            (["MODEL", "a", "--image-b", "no.png"], "--image-b: expected a picture file, found nothing at no.png"),
            (["MODEL", "a", "b", "--reference", "c"], "--reference: expected it in place of B, found both"),
            (["MODEL", "a", "b", "--how", "best"], "--how best: expected --reference FILE … beside it"),
            (["MODEL", "a", "--pairs", "p.csv"], "--pairs: expected it alone, found a beside it"),
            (["MODEL", "a", "b", "--out", "x.csv"], "--out: expected --pairs FILE beside it"),
            (["MODEL", "--pairs", "p.csv"], "p.csv: expected a file of pairs, found no such file"),
            (["MODEL", "a", "b", "--false-accept-rate", "2"], "expected a number between 0 and 1, found 2.0"),
            (["MODEL", "a", "b", "--referense", "c"], "--referense: no such option (did you mean --reference?)"),
            (["nowhere/", "a", "b"], "model 'nowhere/': expected a folder"),
        ],
    )
    def test_what_cannot_be_answered_is_one_line(
        self, capsys: pytest.CaptureFixture[str], model: str, words: list[str], line: str
    ) -> None:
        err = said(capsys, *[model if word == "MODEL" else word for word in words], code=2)
        assert line in err
        assert err.count("\n") == 1

    def test_a_damaged_picture_is_one_line(self, capsys: pytest.CaptureFixture[str], model: str, place: Path) -> None:
        (place / "bad.png").write_bytes(b"no picture")
        assert "bad.png" in said(capsys, model, "one.png", "bad.png", code=2)

    def test_help_needs_neither_torch_nor_mlflow(self) -> None:
        code = (
            "import sys; from cross_modal_mlflow.command_line import main; main(['verify', '--help']); "
            "sys.exit(bool({'torch', 'mlflow'} & set(sys.modules)))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.returncode == 0
        assert "--reference" in done.stdout


class TestAnswers:
    def test_the_same_picture_is_the_same(self, capsys: pytest.CaptureFixture[str], model: str) -> None:
        out = said(capsys, model, "one.png", "one.png")
        assert out.startswith("same\nscore        1.0000   picture against picture\nthreshold    0.9000")

    def test_exit_codes(self, capsys: pytest.CaptureFixture[str], model: str, tmp_path: Path) -> None:
        assert said(capsys, model, "one.png", "one.png", "--exit-code").startswith("same")
        strict = str(write_model(tmp_path / "twin", thresholds={"text_text": 2.0}))
        assert said(capsys, strict, "a", "b", "--exit-code", code=1).startswith("different")
        assert said(capsys, strict, "a", "b").startswith("different")
        bare = str(write_model(tmp_path / "bare", thresholds={}))
        assert "expected a model with a threshold" in said(capsys, bare, "a", "b", "--exit-code", code=2)

    def test_the_report(self, capsys: pytest.CaptureFixture[str], model: str, place: Path) -> None:
        said(capsys, model, "one.png", "a cat", "--json", "answer.json")
        report = json.loads((place / "answer.json").read_text())
        assert report["command"] == "verify"
        assert report["run_id"] is None
        about, metrics = report["protocol"], report["metrics"]
        assert (about["comparison"], about["score"], about["calibrated_on"]) == (
            "picture_text",
            "cosine",
            {"data": "toys"},
        )
        assert about["decision"] == ("same" if metrics["verification/same"] else "different")
        assert {"verification/score", "verification/probability", "verification/false_accept_rate"} <= set(metrics)

    def test_references(self, capsys: pytest.CaptureFixture[str], model: str) -> None:
        words = [model, "one.png", "--reference", "one.png", "other one, grey.png", "--how"]
        assert "score        1.0000" in said(capsys, *words, "best")
        assert "score        1.0000" not in said(capsys, *words, "mean")

    def test_another_false_accept_rate(self, capsys: pytest.CaptureFixture[str], model: str) -> None:
        out = said(capsys, model, "one.png", "one.png", "--false-accept-rate", "0.1")
        assert "false accepts of at most 10 %" in out


class TestFiles:
    def test_a_file_is_answered_and_measured(self, capsys: pytest.CaptureFixture[str], model: str, place: Path) -> None:
        (place / "pairs.csv").write_text("text_a,text_b,same\na cat,a cat,1\na dog,an owl,0\n")
        out = said(capsys, model, "--pairs", "pairs.csv", "--no-track", "--out", "answers.csv", "--json", "report.json")
        assert out.startswith("verify: pairs.csv, 2 pairs (2 text against text)")
        assert "verification/accuracy" in out
        assert (place / "answers.csv").read_text().startswith("row,text_a,text_b,same,answer_score,answer,probability")
        report = json.loads((place / "report.json").read_text())
        assert report["protocol"]["rows"] == 2
        assert report["protocol"]["items_encoded"] == 3
        assert report["metrics"]["verification/pairs"] == 2

    def test_answers_may_go_to_the_terminal_alone(
        self, capsys: pytest.CaptureFixture[str], model: str, place: Path
    ) -> None:
        (place / "pairs.csv").write_text("text_a,text_b\na cat,a cat\n")
        out = said(capsys, model, "--pairs", "pairs.csv", "--out", "-")
        assert [line.split(",")[0] for line in out.splitlines()] == ["row", "1"]

    def test_a_folder_that_is_not_there_is_named_before_the_work(
        self, capsys: pytest.CaptureFixture[str], model: str, place: Path
    ) -> None:
        (place / "pairs.csv").write_text("text_a,text_b\na cat,a cat\n")
        err = said(capsys, model, "--pairs", "pairs.csv", "--out", "nowhere/answers.csv", code=2)
        assert "--out: expected a folder that exists" in err
