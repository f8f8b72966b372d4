"""Files of pairs: every row answered once, every item encoded once, whatever the size of the window."""

import csv
import itertools
from pathlib import Path

import numpy as np
import pytest
from toys.verification_models import write_model, write_picture

from cross_modal.configuration import DataConfig
from cross_modal.errors import CrossModalError
from cross_modal_mlflow.verification_answer import UNCALIBRATED, Verifier
from cross_modal_mlflow.verification_file import FileResult, verify_file

WORDS = [f"{animal} number {number}" for animal in ("cat", "dog", "owl") for number in range(6)]
DATA = DataConfig(feature_store=False, workers=0)


@pytest.fixture(scope="module")
def verifier(tmp_path_factory: pytest.TempPathFactory) -> Verifier:
    return Verifier.load(write_model(tmp_path_factory.mktemp("model") / "twin"), DATA)


def write(path: Path, columns: str, rows: list[list[object]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns.split(","), *rows])
    return path


def words(path: Path, count: int = 60) -> Path:
    """Pairs of words: the same animal or not."""
    random = np.random.default_rng(0)
    pairs = [random.choice(WORDS, 2, replace=False).tolist() for _ in range(count)]
    return write(path, "text_a,text_b,same", [[a, b, int(a[:3] == b[:3])] for a, b in pairs])


def answered(verifier: Verifier, source: Path, **settings: int) -> tuple[FileResult, list[dict[str, str]]]:
    out = source.with_name("answers.csv")
    result = verify_file(verifier, source, out, **settings)  # type: ignore[arg-type]
    with out.open(newline="", encoding="utf-8") as file:
        return result, list(csv.DictReader(file))


class TestAnswers:
    def test_every_row_is_answered_as_it_would_be_alone(self, verifier: Verifier, tmp_path: Path) -> None:
        from cross_modal.data.items import Items

        result, rows = answered(verifier, words(tmp_path / "pairs.csv"))
        assert [row["row"] for row in rows] == [str(number) for number in range(1, 61)]
        for row in rows[:5]:
            alone = verifier.answer(Items.of(texts=[row["text_a"], row["text_b"]]))
            assert float(row["answer_score"]) == pytest.approx(alone.score, abs=1e-5)
            assert float(row["probability"]) == pytest.approx(alone.probability, abs=1e-4)
            assert row["answer"] == ("same" if alone.same else "different")
        assert result.same == sum(row["answer"] == "same" for row in rows)
        assert (result.rows, result.same + result.different) == (60, 60)
        assert result.comparisons == {"text_text": 60}

    def test_each_item_is_encoded_once_and_the_window_changes_nothing(self, verifier: Verifier, tmp_path: Path) -> None:
        source = words(tmp_path / "pairs.csv")
        whole, rows = answered(verifier, source)
        parts, again = answered(verifier, source, window=7)
        assert whole.encoded == parts.encoded == len({row[side] for row in rows for side in ("text_a", "text_b")})
        for one, other in zip(rows, again, strict=True):
            assert float(one["answer_score"]) == pytest.approx(float(other["answer_score"]), abs=1e-5)
        assert parts.metrics == pytest.approx(whole.metrics, abs=1e-3)

    def test_sides_turned_round_score_the_same_to_the_last_digit(self, verifier: Verifier, tmp_path: Path) -> None:
        rows = [[a, b] for a, b in itertools.pairwise(WORDS)]
        one = answered(verifier, write(tmp_path / "a.csv", "text_a,text_b", rows))[1]
        other = answered(verifier, write(tmp_path / "b.csv", "text_b,text_a", rows))[1]
        assert [row["answer_score"] for row in one] == [row["answer_score"] for row in other]

    def test_pictures_lie_beside_the_file_and_comparisons_may_differ(self, verifier: Verifier, tmp_path: Path) -> None:
        for number in range(3):
            write_picture(tmp_path / "pictures" / f"{number}.png", number)
        table = [["pictures/0.png", "pictures/1.png", ""], ["pictures/0.png", "", "a cat"]]
        result, rows = answered(verifier, write(tmp_path / "pairs.csv", "image_a,image_b,text_b", table))
        assert result.comparisons == {"picture_picture": 1, "picture_text": 1}
        assert result.encoded == 3
        assert rows[0]["image_a"] == "pictures/0.png"

    def test_a_model_without_calibration_gives_scores(self, tmp_path: Path) -> None:
        bare = Verifier.load(write_model(tmp_path / "twin", thresholds={}), DATA)
        result, rows = answered(bare, words(tmp_path / "pairs.csv"))
        assert {row["answer"] for row in rows} == {""}
        assert result.notes == [UNCALIBRATED]
        assert "verification/auc" in result.metrics

    def test_no_file_is_left_behind_after_an_error(self, verifier: Verifier, tmp_path: Path) -> None:
        source = write(tmp_path / "pairs.csv", "text_a,text_b", [["a", "b"], ["c", ""]])
        with pytest.raises(CrossModalError, match=r"^pairs\.csv row 2: expected image_b or text_b, found neither$"):
            answered(verifier, source)
        assert [path.name for path in tmp_path.iterdir()] == ["pairs.csv"]


class TestMeasures:
    def test_verdicts_are_measured(self, verifier: Verifier, tmp_path: Path) -> None:
        result, rows = answered(verifier, words(tmp_path / "pairs.csv"))
        right = [(row["answer"] == "same") == (row["same"] == "1") for row in rows]
        assert result.metrics["verification/accuracy"] == pytest.approx(np.mean(right))
        assert result.metrics["verification/pairs"] == 60

    def test_graded_verdicts_have_correlations(self, verifier: Verifier, tmp_path: Path) -> None:
        table = [[a, b, round(number / 20, 2)] for number, (a, b) in enumerate(itertools.pairwise(WORDS))]
        result, _ = answered(verifier, write(tmp_path / "pairs.csv", "text_a,text_b,score", table))
        assert -1 <= result.metrics["verification/spearman"] <= 1

    def test_one_verdict_is_answered_and_noted(self, verifier: Verifier, tmp_path: Path) -> None:
        source = write(tmp_path / "pairs.csv", "text_a,text_b,same", [["a", "b", 1], ["c", "d", 1]])
        result, rows = answered(verifier, source)
        assert len(rows) == 2
        assert result.metrics == {}
        assert result.notes[-1].startswith("not measured: verification: expected pairs that are the same and others")

    def test_groups_are_what_is_resampled(self, verifier: Verifier, tmp_path: Path) -> None:
        with words(tmp_path / "pairs.csv").open(newline="") as file:
            _, *rows = list(csv.reader(file))
        table = [[a, b, number % 2, f"g{number % 7}"] for number, (a, b, _) in enumerate(rows)]
        few = answered(verifier, write(tmp_path / "groups.csv", "text_a,text_b,same,group", table))[0].metrics
        table = [row[:3] for row in table]
        many = answered(verifier, write(tmp_path / "pairs.csv", "text_a,text_b,same", table))[0].metrics
        assert few["verification/auc"] == pytest.approx(many["verification/auc"])
        assert few["verification/auc/ci95"] != many["verification/auc/ci95"]


class TestBadInput:
    @pytest.mark.parametrize(
        ("columns", "row", "said"),
        [
            ("text_a,txt_b", ["a", "b"], r"unknown column 'txt_b' \(did you mean 'text_b'\?\)"),
            ("text_a,same", ["a", 1], "expected a column image_b or text_b, found neither"),
            ("text_a,text_b,same,score", ["a", "b", 1, 1], "expected one column of same and score, found both"),
            ("text_a,text_b,same", ["a", "b", "maybe"], r"pairs\.csv row 1: same is 'maybe', expected 0 or 1"),
            ("image_a,text_b", ["no.png", "b"], r"pairs\.csv row 1: image 'no\.png' does not exist"),
        ],
    )
    def test_it_is_one_line_with_file_and_row(
        self, verifier: Verifier, tmp_path: Path, columns: str, row: list[object], said: str
    ) -> None:
        with pytest.raises(CrossModalError, match=said):
            verify_file(verifier, write(tmp_path / "pairs.csv", columns, [row]))

    def test_an_empty_table_is_refused(self, verifier: Verifier, tmp_path: Path) -> None:
        with pytest.raises(CrossModalError, match=r"pairs\.csv: expected rows, found none"):
            verify_file(verifier, write(tmp_path / "pairs.csv", "text_a,text_b", []))

    def test_bad_rows_are_skipped_where_that_was_asked_for(self, verifier: Verifier, tmp_path: Path) -> None:
        write_picture(tmp_path / "good.png")
        (tmp_path / "bad.png").write_bytes(b"no picture")
        table = [["good.png", "a cat", 1], ["bad.png", "a cat", 0], ["good.png", "", 1], ["good.png", "a dog", 0]]
        source = write(tmp_path / "pairs.csv", "image_a,text_b,same", table)
        tolerant = Verifier(
            verifier.twin,
            verifier.scorer,
            verifier.calibration,
            DataConfig(feature_store=False, workers=1, on_bad_item="skip"),
        )
        result, rows = answered(tolerant, source)
        assert [bool(row["answer_score"]) for row in rows] == [True, False, False, True]
        assert sorted(bad.row for bad in result.skipped) == [2, 3]
        assert result.metrics["verification/pairs"] == 2
        with pytest.raises(CrossModalError, match=r"^pairs\.csv row 3: expected image_b or text_b, found neither$"):
            answered(verifier, source)
