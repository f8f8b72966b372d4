from pathlib import Path

import pytest

from cross_modal.configuration import Experiment, PartConfig
from cross_modal.errors import CrossModalError
from cross_modal_mlflow.arguments import parse
from cross_modal_mlflow.evaluate_options import EvaluateOptions


def experiment(*words: str, config: str | None = None) -> Experiment:
    return parse(Experiment, words, command="train", examples="", usage="", config=config)


def test_nothing_given_is_the_default() -> None:
    assert experiment() == Experiment()


def test_dashes_and_underscores_are_one() -> None:
    for option in ("--training.learning-rate", "--training.learning_rate"):
        assert experiment(option, "0.5").training.learning_rate == 0.5


def test_lists_take_several_words() -> None:
    assert experiment("--evaluation.ways", "5", "20", "--training.steps", "3").evaluation.ways == [5, 20]
    assert experiment("--evaluation.shots=[0, 2]").evaluation.shots == [0, 2]


def evaluate(*words: str) -> EvaluateOptions:
    return parse(EvaluateOptions, words, command="evaluate", examples="", usage="", positionals=["model"])


@pytest.mark.parametrize(
    "words",
    [
        ["--methods", "prototypes", "tip_adapter"],
        ["--methods", "prototypes,tip_adapter"],
        ["--methods=prototypes,tip_adapter"],
        ["--methods=[prototypes, tip_adapter]"],
    ],
)
def test_lists_of_names_take_words_or_commas(words: list[str]) -> None:
    given = evaluate("m/", *words, "--kshot", "1", "2")
    assert (given.model, given.methods, given.kshot) == ("m/", ["prototypes", "tip_adapter"], [1, 2])


def test_lists_of_names_stay_text_and_need_a_name(tmp_path: Path) -> None:
    assert evaluate("--methods", "2024", "null").methods == ["2024", "null"]
    assert evaluate().methods == ["all"]
    with pytest.raises(CrossModalError, match="--methods: expected a value, found nothing"):
        evaluate("--methods", "--kshot", "1")
    file = tmp_path / "a.yaml"
    file.write_text("methods: [zero_shot]\nkshot: [4]\n")
    assert evaluate("--config", str(file)).methods == ["zero_shot"]
    assert evaluate("--config", str(file), "--methods", "all").methods == ["all"]


def test_switches_need_no_value() -> None:
    assert experiment("--items.split-prefix").items.split_prefix
    assert not experiment("--items.split-prefix", "false").items.split_prefix
    assert not experiment("--twin.normalise", "no", "--data", "x").twin.normalise


def test_short_names() -> None:
    given = experiment("--split-by", "group", "--split-prefix", "--on-bad-item", "skip", "--freeze", "last:2")
    assert (given.items.split_by, given.items.split_prefix, given.items.on_bad_item) == ("group", True, "skip")
    assert given.twin.freeze == "last:2"


def test_arguments_of_the_default_loss_are_overridden_one_by_one() -> None:
    assert experiment("--objective.loss.arguments.temperature", "0.1").objective.loss == PartConfig(
        "SupConLoss", {"temperature": 0.1}
    )


@pytest.mark.parametrize("option", ["--objective.loss", "--objective.loss.name"])
def test_another_loss_has_none_of_the_old_arguments(option: str) -> None:
    assert experiment(option, "NTXentLoss").objective.loss == PartConfig("NTXentLoss", {})
    # the order of the words does not matter
    words = ["--objective.loss.arguments.margin", "0.3", option, "TripletMarginLoss"]
    assert experiment(*words).objective.loss == PartConfig("TripletMarginLoss", {"margin": 0.3})


def test_naming_the_same_loss_keeps_its_arguments() -> None:
    assert experiment("--objective.loss", "SupConLoss").objective.loss.arguments == {"temperature": 0.07}


def test_a_part_may_be_switched_off(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("objective: {miner: {name: AngularMiner}}\n")
    assert experiment("--config", str(file)).objective.miner == PartConfig("AngularMiner", {})
    assert experiment("--config", str(file), "--objective.miner", "none").objective.miner is None


def test_command_line_over_later_file_over_earlier_file_over_default(tmp_path: Path) -> None:
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text("training: {steps: 1, seed: 1, warm_up: 1}\nobjective: {loss: {name: NTXentLoss}}\n")
    second.write_text("training: {steps: 2, seed: 2}\n")
    below = tmp_path / "below.yaml"
    below.write_text("training: {steps: 9, log_every: 9}\n")
    words = ["--training.steps", "3", "--config", str(first), "--config", str(second)]  # words win wherever they stand
    given = experiment(*words, config=str(below)).training
    assert (given.steps, given.seed, given.warm_up, given.log_every) == (3, 2, 1, 9)
    assert experiment("--config", str(first)).objective.loss == PartConfig("NTXentLoss", {})


def test_a_word_that_looks_like_a_number_stays_text() -> None:
    assert experiment("--data", "2024").data == "2024"


def test_negative_numbers_are_values() -> None:
    assert experiment("--objective.terms.image-to-text", "-1.5").objective.terms.image_to_text == -1.5


def test_positionals() -> None:
    given = parse(
        EvaluateOptions, ["m/", "--ways", "5", "20"], command="e", examples="", usage="", positionals=["model"]
    )
    assert (given.model, given.ways, given.data) == ("m/", [5, 20], None)
    with pytest.raises(CrossModalError, match="found 'second'"):
        parse(EvaluateOptions, ["m/", "second"], command="e", examples="", usage="", positionals=["model"])


def test_errors_have_one_line() -> None:
    for words in (["--evaluation.ways", "five"], ["--objective.miner", "{nome: x}"], ["--items.seed", "1.5"]):
        with pytest.raises(CrossModalError) as caught:
            experiment(*words)
        assert len(str(caught.value).splitlines()) == 1
        assert words[0].lstrip("-").split(".")[-1] in str(caught.value)
