"""What is measured on embeddings, and what is left out with its reason."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow.data.evaluation_dataset import EvaluationDataset
from toys.colours import ColourModel, colour_table, picture

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.kshot_items import KShotItems
from cross_modal_mlflow.evaluation_settings import FewShotSettings
from cross_modal_mlflow.evaluation_table import read_evaluation_table
from cross_modal_mlflow.few_shot_measures import FewShotResult, evaluation_items, measure, plan_pools
from cross_modal_mlflow.predicted_embeddings import embed_by_model

QUICK = {"ways": [5], "shots": [0, 1], "episodes": 30, "queries": 2, "pairs": 60, "resamples": 100, "kshot": [1]}


def _measure(table: pd.DataFrame, model_type: str = "few-shot", **settings: Any) -> FewShotResult:
    targets = next((name for name in ("label", "same") if name in table), None)
    chosen = FewShotSettings.of({**QUICK, **settings})
    found = read_evaluation_table(
        EvaluationDataset(table, targets=targets, name="colours"), with_model=True, split=chosen.split
    )
    embedded = embed_by_model(ColourModel(), found.items)
    return measure(embedded, found, model_type, chosen, pools=plan_pools(found, model_type, chosen))


def test_a_perfect_model_scores_perfectly_everywhere() -> None:
    metrics = _measure(colour_table()).metrics
    for name in (
        "episodes/5way_0shot/accuracy",
        "episodes/5way_1shot/accuracy",
        "retrieval/image_to_text/recall_at_1",
        "retrieval/text_to_image/map_at_r",
        "kshot/prototypes/1shot/accuracy",
        "kshot/zero_shot/0shot/accuracy",
        "verification/auc",
    ):
        assert metrics[name] == 1, name
        assert metrics.get(f"{name}/ci95", 0) == 0
    assert metrics["verification/eer"] == 0


def test_a_model_type_measures_its_own_part_alone() -> None:
    assert {name.split("/")[0] for name in _measure(colour_table(), "retrieval").metrics} == {"retrieval"}
    assert {name.split("/")[0] for name in _measure(colour_table(), "verification").metrics} == {"verification"}


def test_parts_can_be_left_out() -> None:
    metrics = _measure(colour_table(), kshot=[], pairs=0).metrics
    assert {name.split("/")[0] for name in metrics} == {"episodes", "retrieval"}


def test_what_the_data_does_not_allow_is_noted_and_the_rest_measured() -> None:
    result = _measure(colour_table(3, 4), kshot=[16])
    assert any(note.startswith("5-way 1-shot") and "found 3" in note for note in result.notes)
    assert any(note.startswith("K-shot: ") for note in result.notes)
    assert result.metrics["retrieval/image_to_text/recall_at_1"] == 1


def test_without_labels_there_is_retrieval_of_each_picture_by_its_text() -> None:
    table = colour_table(4, 1).drop(columns="label")
    result = _measure(table)
    assert result.metrics["retrieval/image_to_text/recall_at_1"] == 1
    assert "verification: expected labels, or a column pair, found neither" in result.notes


def test_pairs_of_the_table_are_what_is_verified() -> None:
    rows = [("red", 0, "p", 1), ("red", 1, "p", 1), ("red", 2, "q", 0), ("blue", 0, "q", 0)]
    table = pd.DataFrame(
        [(picture(name, number), pair, same) for name, number, pair, same in rows], columns=["image", "pair", "same"]
    )
    result = _measure(table, "verification")
    assert result.metrics["verification/pairs"] == 2
    assert result.metrics["verification/eer"] == 0


def test_a_picture_is_compared_with_a_text_where_they_have_nothing_else() -> None:
    table = pd.DataFrame(
        {
            "image_a": [picture("red", number) for number in range(4)],
            "text_b": ["red", "red", "blue", "green"],
            "same": [1, 1, 0, 0],
        }
    )
    assert _measure(table, "verification").metrics["verification/auc"] == 1


def test_names_of_classes_do_not_decide_drawn_pairs() -> None:
    table = colour_table(6, 8)
    table["image"] = np.random.default_rng(0).permutation(table["image"].to_numpy())
    auc = _measure(table, "verification", pairs=400).metrics["verification/auc"]
    assert 0.3 < auc < 0.7


def test_picture_and_name_are_weighed_on_the_validation_rows_of_the_table() -> None:
    table = pd.concat(
        [colour_table(8, 6).iloc[24:].assign(split="test"), colour_table(4, 6).assign(split="validation")]
    ).reset_index(drop=True)
    result = _measure(table, ways=[4])
    assert result.mixture is not None
    assert result.metrics["episodes/4way_1shot_text/accuracy"] == 1
    assert _measure(table.assign(split="test"), ways=[4]).mixture is None


def test_pictures_of_the_training_split_are_the_supports_of_known_classes() -> None:
    table = colour_table(4, 8).assign(split=(["train"] * 5 + ["test"] * 3) * 4)
    targets = EvaluationDataset(table, targets="label", name="colours")
    found = read_evaluation_table(targets, with_model=True)
    pools = plan_pools(found, "few-shot", FewShotSettings.of(QUICK))
    assert isinstance(pools, KShotItems)
    assert pools.manner == "own splits"
    assert _measure(table, ways=[4]).metrics["kshot/prototypes/1shot/accuracy"] == 1


def test_equal_pictures_of_a_class_count_once() -> None:
    table = pd.concat([colour_table(2, 3)] * 2, ignore_index=True)
    found = read_evaluation_table(EvaluationDataset(table, targets="label", name="x"), with_model=True)
    evaluated, (images, texts) = evaluation_items(embed_by_model(ColourModel(), found.items))
    assert evaluated.images is not None
    assert (len(evaluated.images), images.tolist(), texts.tolist()) == (6, list(range(6)), [0, 3])


def test_nothing_to_measure_says_why() -> None:
    with pytest.raises(CrossModalError, match=r"^nothing could be measured: verification: expected pairs that are the"):
        _measure(colour_table(1, 3), "verification")
