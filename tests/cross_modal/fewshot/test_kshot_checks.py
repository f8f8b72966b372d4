"""Bad settings and bad data are one line, found before anything is fitted."""

from dataclasses import replace

import numpy as np
import pytest
from toys.kshot_classes import TOYS, sides

from cross_modal.configuration import KShotConfig
from cross_modal.errors import CrossModalError
from cross_modal.fewshot.kshot_checks import as_asked, check_settings, check_sides, methods_taking_part
from cross_modal.fewshot.kshot_sides import TestSide


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"shots": []}, r"shots: expected distinct numbers of at least 1, found \[\]"),
        ({"shots": [0, 1]}, "shots: expected distinct"),
        ({"seeds": [1, 1]}, r"seeds: .*found \[1, 1\]"),
        ({"seeds": [-1]}, "seeds: "),
        ({"views": 0}, "views of at least 1"),
        ({"max_validation": -1}, "max_validation of at least 0"),
        ({"false_accept_rate": 1.0}, "false_accept_rate: "),
    ],
)
def test_settings_out_of_range_are_named(changes, what):
    check_settings(KShotConfig())
    with pytest.raises(CrossModalError, match=what):
        check_settings(replace(KShotConfig(), **changes))


def test_sides_that_do_not_fit_are_named():
    learning, test = sides()
    check_sides(learning, test, KShotConfig())
    features, labels = test.reveal()
    with pytest.raises(CrossModalError, match="expected width 16 as train, found 8"):
        check_sides(learning, TestSide(features[:, :8], labels), KShotConfig())
    with pytest.raises(CrossModalError, match=r"test class 'what\?'"):
        check_sides(learning, TestSide(features, np.full(len(labels), "what?")), KShotConfig())
    with pytest.raises(CrossModalError, match="expected 10 views of each train item, found 1"):
        check_sides(learning, test, KShotConfig(views=10))


def test_all_methods_take_part_in_their_own_order_and_some_as_asked():
    learning, _ = sides()
    notes = []
    assert list(methods_taking_part(KShotConfig(), TOYS, learning, notes)) == list(TOYS)
    asked = KShotConfig(methods=["row_means", "means"])
    assert list(methods_taking_part(asked, TOYS, learning, notes)) == ["means", "row_means"]
    assert notes == []
    with pytest.raises(CrossModalError, match=r"methods: expected all, zero_shot, .*found magic"):
        methods_taking_part(KShotConfig(methods=["magic"]), TOYS, learning, notes)


def test_methods_of_names_alone_are_left_out_where_a_name_is_missing():
    learning, _ = sides()
    for side, why in (
        (replace(learning, texts=None, classes=None), "there are none"),
        (replace(learning, texts=learning.texts[1:], classes=learning.classes[1:]), "some classes have none"),
    ):
        notes = []
        assert "zero_shot" not in methods_taking_part(KShotConfig(), TOYS, side, notes)
        assert notes == [f"zero_shot needs class texts and is left out: {why}"]


def test_texts_and_views_are_left_out_as_asked():
    learning, _ = sides(views=2)
    notes = []
    side = as_asked(learning, KShotConfig(texts=False), notes)
    assert (side.texts, side.classes, side.views) == (None, None, None)
    assert len(notes) == 2
    assert as_asked(learning, KShotConfig(views=2), []) is learning
