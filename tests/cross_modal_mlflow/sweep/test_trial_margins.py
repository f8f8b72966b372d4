import pytest

from cross_modal.configuration import Experiment, ObjectiveConfig, PartConfig
from cross_modal.objectives.losses import LOSSES
from cross_modal_mlflow.sweep.trial_margins import margins_of


def experiment(loss: str, distance: str | None = None, **arguments: float) -> Experiment:
    part = None if distance is None else PartConfig(distance)
    return Experiment(objective=ObjectiveConfig(PartConfig(loss, arguments), distance=part))


@pytest.mark.parametrize(
    ("made", "short", "sentence"),
    [
        (
            experiment("TripletMarginLoss", margin=0.312),
            "0.312 L2",
            "TripletMarginLoss.margin 0.312 (L2 distance; library default 0.05)",
        ),
        (
            experiment("TripletMarginLoss", "CosineSimilarity"),
            "0.05 cos",
            "TripletMarginLoss.margin 0.05 (cosine; library default 0.05)",
        ),
        (
            experiment("ContrastiveLoss", "CosineSimilarity", pos_margin=0.9, neg_margin=0.3),
            "pos 0.9 neg 0.3 cos",
            "ContrastiveLoss.pos_margin 0.9, ContrastiveLoss.neg_margin 0.3 (cosine; library default 0.8, 0.2)",
        ),
        (
            experiment("ArcFaceLoss", margin=20.0),
            "20°",
            "ArcFaceLoss.margin 20 (degrees; library default 28.6)",
        ),
        (experiment("SupConLoss", temperature=0.07), "temperature 0.07", "SupConLoss has no margin, temperature 0.07"),
        (experiment("NPairsLoss"), "", "NPairsLoss has no margin"),
    ],
)
def test_margins_are_said_with_their_unit_and_the_librarys_default(made: Experiment, short: str, sentence: str) -> None:
    found = margins_of(made)
    assert found.short == short
    assert found.sentence == sentence


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_has_a_sentence(loss: str) -> None:
    assert margins_of(experiment(loss)).sentence.startswith(loss)
