from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from toys.shapes import experiment, shapes

from cross_modal.configuration import AugmentationConfig, DataConfig, ImageTrunkConfig, KShotConfig
from cross_modal.data.items import Items, column
from cross_modal.embed_items import open_pictures
from cross_modal.encoders.build import build_twin
from cross_modal.encoders.embedding import embed_images, embed_texts
from cross_modal.encoders.feature_store import FeatureStore
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError
from cross_modal.fewshot.kshot_embeddings import drawn, kshot_sides
from cross_modal.fewshot.kshot_items import KShotItems, item_ids, kshot_items
from cross_modal.fewshot.kshot_split import kshot_split

CONFIG = KShotConfig(shots=[1, 2], seeds=[1, 2])


@pytest.fixture(scope="module")
def twin() -> TwinEncoder:
    torch.manual_seed(0)
    return build_twin(experiment().twin, texts=list(shapes().texts)).eval()


@pytest.fixture(scope="module")
def items() -> Items:
    return shapes(per_class=10)


def by_class(pools: KShotItems, rows: np.ndarray) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for label, name in zip(pools.items.keys[rows], item_ids(pools.items, rows), strict=True):
        found.setdefault(label, []).append(name)
    return found


def test_sides_hold_the_embeddings_of_the_pools(twin: TwinEncoder, items: Items) -> None:
    pools = kshot_items(items)
    used = drawn(pools, CONFIG)
    learning, test = kshot_sides(twin, pools, DataConfig(), CONFIG, name="shapes")
    features, labels = test.reveal()
    pictures = open_pictures(items, twin, DataConfig())
    for values, of_rows, rows in (
        (learning.train, learning.train_labels, used.support),
        (learning.validation, learning.validation_labels, used.validation),
        (features, labels, pools.test),
    ):
        np.testing.assert_allclose(values, embed_images(twin, pictures, rows), atol=1e-5)  # type: ignore[arg-type]
        assert of_rows.tolist() == items.keys[rows].tolist()  # type: ignore[union-attr]
    assert learning.ids.tolist() == item_ids(items, used.support).tolist()  # type: ignore[union-attr]
    assert (learning.metric, learning.name, learning.views) == ("cosine", "shapes", None)
    assert not set(learning.ids) & set(test.ids)  # type: ignore[arg-type]


def test_class_texts_are_the_mean_of_the_classs_texts(twin: TwinEncoder, items: Items) -> None:
    texts = items.texts.copy()
    several = items.splits == "test"
    texts[several] = column(f"{text} {row % 3}" for row, text in enumerate(texts[several]))
    pools = kshot_items(replace(items, texts=texts))
    learning, _ = kshot_sides(twin, pools, DataConfig(), CONFIG)
    assert learning.classes is not None
    assert learning.classes.tolist() == pools.classes
    for label, found in zip(learning.classes, learning.texts, strict=True):  # type: ignore[arg-type]
        own = [str(texts[row]) for row in pools.texts if items.keys[row] == label]
        mean = embed_texts(twin, own).mean(0, dtype=np.float64)
        np.testing.assert_allclose(found, mean / np.linalg.norm(mean), atol=1e-5)


def test_a_class_without_a_text_has_none_and_nobodys_texts_are_none(twin: TwinEncoder, items: Items) -> None:
    texts = items.texts.copy()
    nameless = kshot_items(items).classes[0]
    texts[items.keys == nameless] = None
    learning, _ = kshot_sides(twin, kshot_items(replace(items, texts=texts)), DataConfig(), CONFIG)
    assert learning.texts is not None
    assert np.isnan(learning.texts).all(1).tolist() == [True] + [False] * 5
    bare = kshot_items(shapes(per_class=10, texts=False))
    assert kshot_sides(twin, bare, DataConfig(), CONFIG)[0].texts is None
    assert kshot_sides(twin, kshot_items(items), DataConfig(), replace(CONFIG, texts=False))[0].texts is None


@pytest.mark.parametrize("shots", [[1], [2, 1], [3]])
def test_leaving_out_what_is_never_drawn_changes_no_split(items: Items, shots: list[int]) -> None:
    config = replace(CONFIG, shots=shots)
    whole = kshot_items(items)
    part = drawn(whole, config)
    assert set(part.support) < set(whole.support)
    assert set(part.validation) <= set(whole.validation)
    assert part.test is whole.test
    for count in shots:
        for seed in config.seeds:
            full, few = (
                kshot_split(by_class(pools, pools.support), by_class(pools, pools.validation), count, seed)
                for pools in (whole, part)
            )
            assert full.digest == few.digest


def test_nothing_is_left_out_where_validation_is_held_out_of_the_support(items: Items) -> None:
    pools = replace(kshot_items(items), validation=np.zeros(0, np.int64))
    assert drawn(pools, CONFIG) is pools
    assert len(drawn(pools, replace(CONFIG, max_validation=0)).support) < len(pools.support)


def test_without_validation_pictures_the_side_has_none(twin: TwinEncoder, items: Items) -> None:
    pools = replace(kshot_items(items), validation=np.zeros(0, np.int64))
    learning, _ = kshot_sides(twin, pools, DataConfig(), CONFIG)
    assert learning.validation is None
    assert len(learning.train) == len(pools.support)


def test_too_few_pictures_are_found_before_anything_is_embedded(items: Items, twin: TwinEncoder) -> None:
    heard: list[int] = []
    says = r"expected 9 items for 9 shots, found 5.*; 50 % of each class's pictures are tested"
    with pytest.raises(CrossModalError, match=says):
        kshot_sides(twin, kshot_items(items), DataConfig(), replace(CONFIG, shots=[9]), progress=heard.append)
    assert heard == []
    learning, _ = kshot_sides(twin, kshot_items(items), DataConfig(), replace(CONFIG, shots=[9], allow_fewer=True))
    assert len(learning.train) == 30


def test_views_follow_the_support_and_not_its_order(twin: TwinEncoder, items: Items) -> None:
    config = replace(CONFIG, views=3)
    heard: list[int] = []
    learning, test = kshot_sides(
        twin, kshot_items(items), DataConfig(), config, augmentation=AugmentationConfig(), progress=heard.append
    )
    assert learning.views is not None
    assert learning.views.shape == (*learning.train.shape[:1], 3, learning.train.shape[1])
    assert sum(heard) == 4 * len(learning.train) + len(learning.validation) + len(test.ids)  # type: ignore[arg-type]
    order = np.random.default_rng(0).permutation(len(items))
    again, _ = kshot_sides(
        twin, kshot_items(items.take(order)), DataConfig(), config, augmentation=AugmentationConfig()
    )
    place = {name: row for row, name in enumerate(again.ids.tolist())}  # type: ignore[union-attr]
    rows = [place[name] for name in learning.ids.tolist()]  # type: ignore[union-attr]
    np.testing.assert_allclose(again.views[rows], learning.views, atol=1e-5)  # type: ignore[index]
    # views are near their picture, and none is the picture
    cosines = np.einsum("nvd,nd->nv", learning.views, learning.train)
    assert cosines.mean() > 0.8
    assert cosines.max() < 1 - 1e-6


def test_the_store_gives_the_same_and_is_asked_the_second_time(
    twin: TwinEncoder, items: Items, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pools, store = kshot_items(items), FeatureStore(tmp_path)
    plain, _ = kshot_sides(twin, pools, DataConfig(), CONFIG)
    first, _ = kshot_sides(twin, pools, DataConfig(), CONFIG, store=store)
    np.testing.assert_allclose(first.train, plain.train, atol=2e-3)  # float16 on the way

    def forbidden(*_: object) -> None:
        raise AssertionError("encoded again")

    monkeypatch.setattr(twin, "encode_image", forbidden)
    second, _ = kshot_sides(twin, pools, DataConfig(), CONFIG, store=store)
    assert (second.train == first.train).all()


def test_groups_come_along(twin: TwinEncoder, items: Items) -> None:
    grouped = replace(items, groups=column(f"hand {row % 10}" for row in range(len(items))))
    learning, test = kshot_sides(twin, kshot_items(grouped), DataConfig(), replace(CONFIG, shots=[1]))
    sides = [set(learning.groups), set(learning.validation_groups), set(test.groups)]  # type: ignore[arg-type]
    assert not sides[0] & sides[2]
    assert not sides[0] & sides[1]
    assert not sides[1] & sides[2]


def test_a_twin_of_texts_is_one_line(items: Items) -> None:
    settings = replace(experiment().twin, image=ImageTrunkConfig(name="none"))
    with pytest.raises(CrossModalError, match="expected a twin with an image trunk"):
        kshot_sides(build_twin(settings, ["a", "b"]), kshot_items(items), DataConfig(), CONFIG)
