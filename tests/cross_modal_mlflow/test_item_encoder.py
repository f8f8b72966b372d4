"""Items that come by again are not encoded again, as long as there is room for them."""

from pathlib import Path

import pytest
from toys.tiny_twin import tiny_twin

from cross_modal.configuration import DataConfig
from cross_modal.data.bad_items import BadItems
from cross_modal.errors import CrossModalError
from cross_modal_mlflow import item_encoder
from cross_modal_mlflow.item_encoder import ItemEncoder, Side, key_of

CAT: Side = (None, "a cat")
DOG: Side = (None, "a dog")
OWL: Side = (None, "an owl")


def encoder(**settings: object) -> ItemEncoder:
    config = DataConfig(feature_store=False, workers=0, **settings)  # type: ignore[arg-type]
    return ItemEncoder(tiny_twin(), config, Path("pairs.csv"), BadItems(config.on_bad_item), least=2)


def test_an_item_of_an_earlier_window_is_known() -> None:
    found = encoder()
    first, kinds = found.embedded({1: (CAT, DOG), 2: (DOG, CAT)})
    again, _ = found.embedded({3: (CAT, OWL)})
    assert found.encoded == 3
    assert kinds == {key_of(CAT): "text", key_of(DOG): "text"}
    assert (again[key_of(CAT)] == first[key_of(CAT)]).all()


def test_the_least_recently_seen_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(item_encoder, "MEMORY", 0)
    found = encoder()
    found.embedded({1: (CAT, DOG)})
    found.embedded({2: (CAT, OWL)})  # now the dog is the oldest
    found.embedded({3: (CAT, OWL)})
    assert found.encoded == 3
    found.embedded({4: (DOG, CAT)})
    assert found.encoded == 4


def test_picture_text_and_content_are_told_apart() -> None:
    sides: list[Side] = [("a", None), (None, "a"), (b"a", None), ("a", "a"), ("a", ""), ("a|-|", None), ("", "a")]
    assert len({key_of(side) for side in sides}) == len(sides)


def test_what_the_twin_cannot_encode_is_named_or_skipped() -> None:
    with pytest.raises(CrossModalError, match=r"pairs\.csv row 7"):
        encoder().embedded({7: ((b"no picture", None), CAT)})
    tolerant = encoder(on_bad_item="skip")
    known, _ = tolerant.embedded({7: ((b"no picture", None), CAT)})
    assert list(known) == [key_of(CAT)]
    assert [bad.row for bad in tolerant.bad.skipped] == [7]
