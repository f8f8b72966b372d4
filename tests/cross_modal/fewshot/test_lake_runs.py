"""Lake's table: candidates are the run's supports, ties are fair, what is missing is named."""

import numpy as np
import pytest

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.lake_runs import LakeRuns, read_lake_runs, score_lake_runs

TABLE = """run,test_image,support_image,test_original,support_original
1,r1/t1,r1/s1,a,b
1,r1/t2,r1/s2,c,d
2,r2/t1,r2/s1,e,f
2,r2/t2,r2/s2,g,h
2,r2/t3,r2/s2,i,h
"""
NAMES = ["r1/t1", "r1/t2", "r1/s1", "r1/s2", "r2/t1", "r2/t2", "r2/t3", "r2/s1", "r2/s2"]
PLACES = {
    "r1/t1": 0,
    "r1/s1": 5,
    "r1/t2": 80,
    "r1/s2": 90,
    "r2/t1": 10,
    "r2/s1": 0,
    "r2/t2": 0,
    "r2/s2": 85,
    "r2/t3": 90,
}


def on_circle(degrees: list[float]) -> np.ndarray:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)


@pytest.fixture
def runs(tmp_path):
    (tmp_path / "runs.csv").write_text(TABLE)
    return read_lake_runs(tmp_path / "runs.csv")


def test_reads_the_table_and_lists_what_to_embed(runs, tmp_path):
    assert runs.images == sorted(NAMES)
    assert runs.run.tolist() == ["1", "1", "2", "2", "2"]
    originals = read_lake_runs(tmp_path / "runs.csv", "test_original", "support_original")
    assert originals.images == list("abcdefghi")


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_each_test_image_chooses_among_the_supports_of_its_run(runs, metric):
    result = score_lake_runs(on_circle([PLACES[name] for name in NAMES]), NAMES, runs, metric)
    # Run 1: both right. Run 2: t1 and t3 right, t2 (at 0) stands on s1.
    assert result.of_run == pytest.approx({"1": 1.0, "2": 2 / 3})
    assert result.accuracy == pytest.approx(5 / 6)
    assert result.interval == pytest.approx(12.706 * np.std([1, 2 / 3], ddof=1) / np.sqrt(2), rel=1e-3)


def test_collapsed_embeddings_score_chance(runs):
    assert score_lake_runs(np.ones((9, 4), np.float32), NAMES, runs).accuracy == pytest.approx(0.5)


def test_a_missing_image_is_named_and_counted(runs):
    with pytest.raises(CrossModalError, match=r"r2/s2 has no embedding \(1 of 9"):
        score_lake_runs(np.ones((8, 4), np.float32), NAMES[:-1], runs)
    with pytest.raises(CrossModalError, match="8 embeddings but 9 names"):
        score_lake_runs(np.ones((8, 4), np.float32), NAMES, runs)


def test_a_run_with_one_support_is_named():
    runs = LakeRuns(*(np.array([cell], object) for cell in ("7", "t", "s")))
    with pytest.raises(CrossModalError, match="run 7 has 1 support"):
        score_lake_runs(np.eye(2, dtype=np.float32), ["t", "s"], runs)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("run,test_image\n1,a\n", "expected the columns run, test_image, support_image, found run, test_image"),
        ("run,test_image,support_image\n1,a,\n", "row 2: support_image is empty"),
        ("run,test_image,support_image\n", "at least one trial"),
    ],
)
def test_bad_tables_are_named(tmp_path, text, message):
    (tmp_path / "runs.csv").write_text(text)
    with pytest.raises(CrossModalError, match=message):
        read_lake_runs(tmp_path / "runs.csv")
