import optuna
import pytest

from cross_modal.configuration import Experiment, ObjectiveConfig, PartConfig
from cross_modal.errors import CrossModalError
from cross_modal_mlflow.sweep.space import SearchSpace
from cross_modal_mlflow.sweep.space_file import space_from

SPACE = """
objective.loss.name: [TripletMarginLoss, CircleLoss]
objective.loss.arguments.margin: {low: 0.01, high: 1.0, log: true}
training:
  learning_rate: {low: 1e-4, high: 1e-2, log: true}
  weight_decay: 0.01
twin.pooling.queries: [1, 2, 4]
twin.width: {low: 64, high: 256, step: 64}
objective.miner: {choices: [none, TripletMarginMiner]}
"""


def read(text: str, folder, base: Experiment | None = None) -> SearchSpace:
    path = folder / "space.yaml"
    path.write_text(text)
    return SearchSpace.read(path, base or Experiment())


def parameters(content: dict, base: Experiment | None = None) -> dict[str, str]:
    return dict(space_from(content, base or Experiment()).rows())


def refusal(content) -> str:
    with pytest.raises(CrossModalError) as caught:
        space_from(content, Experiment())
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_a_file_says_what_is_searched_and_nothing_else_is(tmp_path) -> None:
    space = read(SPACE, tmp_path)
    space.check(Experiment())
    assert dict(space.rows()) == {
        "objective.loss": "TripletMarginLoss, CircleLoss",
        "objective.miner": "none, TripletMarginMiner",
        "TripletMarginLoss.margin": "0.01 to 1, log",
        "training.learning_rate": "0.0001 to 0.01, log",
        "training.weight_decay": "0.01",
        "twin.pooling.queries": "1, 2, 4",
        "twin.width": "64 to 256, step 64",
    }
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(20):
        trial = study.ask()
        found = space.suggest(trial, Experiment())
        assert found.training.weight_decay == 0.01
        assert "training.weight_decay" not in trial.params, "one value is set, not drawn"
        assert found.twin.width in (64, 128, 192, 256)
        assert type(found.twin.width) is int
        margin = found.objective.loss.arguments.get("margin")
        assert (margin is None) == (found.objective.loss.name == "CircleLoss"), "only where the loss has one"


def test_the_default_trial_takes_what_is_nearest_and_says_so(tmp_path) -> None:
    space = read("training.learning_rate: {low: 1e-5, high: 1e-4}", tmp_path)
    assert space.parameters_of(Experiment())["training.learning_rate"] == 1e-4
    assert space.differences(Experiment()) == [
        "training.learning_rate: 0.002 lies outside 1e-05 to 0.0001; the default trial takes 0.0001"
    ]


def test_where_the_file_names_no_loss_the_experiments_stays() -> None:
    objective = ObjectiveConfig(PartConfig("CircleLoss", {"m": 0.3}), miner=PartConfig("HDCMiner"))
    base = Experiment(objective=objective)
    space = space_from({"objective.loss.arguments.gamma": {"low": 20, "high": 200}}, base)
    found = space.suggest(optuna.trial.FixedTrial(space.parameters_of(base)), base)
    assert found.objective.loss == PartConfig("CircleLoss", {"m": 0.3, "gamma": 80.0})
    assert found.objective.miner == PartConfig("HDCMiner")


@pytest.mark.parametrize("key", ["losses", "objective.loss", "objective.loss.name"])
def test_losses_go_by_three_names(key: str) -> None:
    assert parameters({key: ["CircleLoss", "SupConLoss"]})["objective.loss"] == "CircleLoss, SupConLoss"
    assert parameters({key: "CircleLoss"})["objective.loss"] == "CircleLoss"
    assert parameters({key: {"choices": ["CircleLoss"]}})["objective.loss"] == "CircleLoss"


def test_built_in_ranges_come_on_request_and_give_way_to_the_users() -> None:
    content = {
        "losses": ["ContrastiveLoss", "CircleLoss"],
        "miners": ["none", "HDCMiner"],
        "distances": ["CosineSimilarity", "LpDistance"],
        "objective.loss.arguments": "default",
        "objective.miner.arguments": "default",
        "ContrastiveLoss[LpDistance].gap": {"low": 0.3, "high": 0.4},
        "CircleLoss.m": 0.25,
    }
    space = space_from(content, Experiment())
    space.check(Experiment())
    rows = dict(space.rows())
    assert rows["ContrastiveLoss[CosineSimilarity].gap"] == "0.2 to 1, cosine"
    assert rows["ContrastiveLoss[LpDistance].gap"] == "0.3 to 0.4"
    assert (rows["CircleLoss.m"], rows["CircleLoss.gamma"]) == ("0.25", "16 to 256, log")
    assert "HDCMiner.filter_percentage" in rows
    negative = content | {"ContrastiveLoss.neg_margin": {"low": 1.1, "high": 1.4}}
    assert not [name for name in parameters(negative) if name.endswith("gap")], "a negative margin stands in its place"


def test_losses_without_ranges_take_defaults_that_train() -> None:
    space = space_from({"losses": ["ContrastiveLoss"], "objective.distance": "CosineSimilarity"}, Experiment())
    space.check(Experiment())
    found = space.suggest(optuna.trial.FixedTrial(space.parameters_of(Experiment())), Experiment())
    assert found.objective.loss.arguments == {"pos_margin": 0.8, "neg_margin": 0.2}


def test_numbers_take_the_type_of_their_setting() -> None:
    domains = {each.path: each.domain for each in space_from(
        {"losses": ["ArcFaceLoss", "SubCenterArcFaceLoss", "SphereFaceLoss"],
         "ArcFaceLoss.margin": {"low": 10, "high": 40}, "SubCenterArcFaceLoss.sub_centers": {"low": 1, "high": 4},
         "SphereFaceLoss.margin": {"low": 2, "high": 4}, "batch.classes": {"low": 16, "high": 96},
         "augmentation.flip": [0, 0.5]}, Experiment(),
    ).parameters}  # fmt: skip
    assert domains["objective.loss.arguments.sub_centers"].integer
    assert domains["objective.loss.arguments.margin"].integer, "it multiplies the angle by a whole number"
    assert domains["batch.classes"].integer
    assert [type(each) for each in domains["augmentation.flip"].values] == [float, float]
    assert parameters({"losses": "TripletMarginLoss", "TripletMarginLoss.smooth_loss": [True, False]})
    assert parameters({"twin.dim": [None, 64]})["twin.dim"] == "none, 64"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "expected settings with their ranges, found NoneType"),
        ([1], "expected settings with their ranges, found list"),
        ({"training.learning_rat": 1}, "unknown setting training.learning_rat; did you mean training.learning_rate?"),
        ({"objective.los": ["CircleLoss"]}, "did you mean objective.loss"),
        ({"objective.loss.arguments.margn": 1, "losses": "TripletMarginLoss"}, "found margn; did you mean margin?"),
        ({"objective.loss.arguments.margin": 1}, "expected an argument of SupConLoss (temperature), found margin"),
        ({"CircleLoss.m": 0.2}, "CircleLoss.m: expected a loss or miner of this space (SupConLoss, none)"),
        ({"losses": "CircleLoss", "CircleLoss.margin": 0.2}, "expected an argument of CircleLoss (m, gamma)"),
        ({"losses": "CircleLos"}, "loss 'CircleLos': unknown"),
        ({"miners": ["NoMiner"]}, "miner 'NoMiner': unknown"),
        ({"distances": ["CosineSimilarty"]}, "distance 'CosineSimilarty': unknown; did you mean CosineSimilarity?"),
        ({"losses": [3]}, "objective.loss: expected a name or a list of names, found 3"),
        ({"losses": "CircleLoss", "objective.loss": "CircleLoss"}, "objective.loss: expected once, found twice"),
        ({"objective.loss.arguments": "all"}, "or the word 'default', found 'all'"),
        ({"training.steps": {"low": 10.5, "high": 20}}, "training.steps: low: expected a whole number, found 10.5"),
        ({"training.steps": {"low": 10}}, "training.steps: expected low and high, and log or step"),
        ({"training.steps": {"low": 10, "hihg": 20}}, "found low, hihg"),
        ({"training.learning_rate": {"low": 1, "high": 0.1}}, "training.learning_rate: range: expected two"),
        ({"training.learning_rate": {"low": 0, "high": 1, "log": True}}, "expected low above 0"),
        ({"training.learning_rate": {"low": 0.1, "high": 1, "log": "yes"}}, "log to be true or false, found 'yes'"),
        ({"training.learning_rate": "fast"}, "training.learning_rate: expected a number, found 'fast'"),
        ({"training.learning_rate": True}, "training.learning_rate: expected a number, found True"),
        ({"training.learning_rate": []}, "choice: expected at least one value"),
        ({"twin.pooling.queries": [1, 1]}, "twin.pooling.queries: choice: expected distinct values, found 1 twice"),
        ({"twin.pooling.share": {"low": 1, "high": 2}}, "values of one of pooling, none in a list"),
        ({"twin.pooling.share": ["all"]}, "twin.pooling.share: expected one of pooling, none, found 'all'"),
        ({"augmentation.quarter_turns": 1}, "augmentation.quarter_turns: expected true or false, found 1"),
        ({"twin.image.widths": [32, 64]}, "twin.image.widths: expected a setting of one value"),
        ({"evaluation.seed": [1, 2]}, "evaluation.seed: expected a setting that trials may differ in"),
        ({"data": "glyphs"}, "data: expected a setting that trials may differ in"),
        ({"training.seed": [1, 2]}, "training.seed: expected a setting that trials may differ in"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_one_line(content, says: str) -> None:
    assert says in refusal(content)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [1", "expected YAML, found while parsing"),
        ("training.step: 3", "unknown setting training.step; did you mean training.steps?"),
        ("", "expected settings with their ranges"),
    ],
)
def test_refusals_begin_with_the_files_name(tmp_path, text: str, says: str) -> None:
    with pytest.raises(CrossModalError) as caught:
        read(text, tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'space.yaml'}: ")
    assert says in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_file_that_is_none_is_one_line(tmp_path) -> None:
    with pytest.raises(
        CrossModalError, match=r"space\.yaml: expected a YAML file of settings and ranges, found no such file"
    ):
        SearchSpace.read(tmp_path / "space.yaml", Experiment())
    with pytest.raises(CrossModalError, match="found is a directory"):
        SearchSpace.read(tmp_path, Experiment())
