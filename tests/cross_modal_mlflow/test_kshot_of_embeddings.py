"""The K-shot protocol on embeddings that are there already."""

import pandas as pd
import pytest
from toys.colours import ColourModel, colour_table

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.kshot_items import kshot_items
from cross_modal.fewshot.kshot_result import KShotResult
from cross_modal_mlflow.evaluation_settings import FewShotSettings
from cross_modal_mlflow.items_table import items_of_table
from cross_modal_mlflow.kshot_of_embeddings import measure_kshot
from cross_modal_mlflow.predicted_embeddings import embed_by_model


def _measure(table: pd.DataFrame, **settings: object) -> KShotResult:
    items = items_of_table(table, source="colours")
    chosen = FewShotSettings.of({"kshot": [1, 2], "seeds": [1, 2], "methods": "prototypes", **settings})
    pools = kshot_items(items, "all" if items.splits is None else "test")
    return measure_kshot(embed_by_model(ColourModel(), items), pools, chosen, "cosine", "colours")


def test_every_k_and_seed_is_a_fit_and_names_alone_are_measured_too() -> None:
    result = _measure(colour_table(4, 10), methods=["prototypes", "zero_shot"])
    assert sorted({(row.method, row.shots, row.seed) for row in result.rows if row.shots}) == [
        ("prototypes", shots, seed) for shots in (1, 2) for seed in (1, 2)
    ]
    assert {row.accuracy for row in result.rows} == {1.0}
    assert any(row.shots == 0 for row in result.rows)
    assert result.protocol.startswith("colours K=1,2 seeds=1-2")


def test_the_data_s_own_splits_are_kept() -> None:
    table = colour_table(4, 10).assign(split=(["train"] * 6 + ["validation"] * 2 + ["test"] * 2) * 4)
    result = _measure(table)
    assert {len(ids) for split in result.splits for ids in split.validation.values()} <= {1, 2}
    assert result.metrics()["kshot/prototypes/2shot/accuracy"] == 1


def test_methods_that_need_names_are_left_out_without_names() -> None:
    result = _measure(colour_table(4, 10).drop(columns="text"), methods=["prototypes", "zero_shot"])
    assert {row.method for row in result.rows} == {"prototypes"}
    assert "zero_shot needs class texts and is left out: there are none" in result.notes
    with pytest.raises(CrossModalError, match="methods: expected"):
        _measure(colour_table(4, 10).drop(columns="text"), methods=["zero_shot"])


def test_too_few_pictures_for_the_largest_k_are_said() -> None:
    with pytest.raises(CrossModalError, match="16"):
        _measure(colour_table(4, 10), kshot=[1, 16])
