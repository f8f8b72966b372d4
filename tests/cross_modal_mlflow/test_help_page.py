from cross_modal.configuration import Experiment
from cross_modal_mlflow.evaluate_options import EvaluateOptions
from cross_modal_mlflow.help_page import attribute_docs, help_page
from cross_modal_mlflow.option_kinds import option_kinds


def page(cls: type, **more: object) -> str:
    return help_page(cls, command="x", usage="", general="", examples="", **more)  # type: ignore[arg-type]


def test_every_option_of_an_experiment_is_explained() -> None:
    text = page(Experiment)
    groups = {path.rsplit(".", 1)[0] for path in option_kinds(Experiment) if "." in path}
    parts = {path for path, kind in option_kinds(Experiment).items() if kind == "part"}
    for path in option_kinds(Experiment):
        if path in groups - parts or path.rsplit(".", 1)[0] in parts:
            continue
        assert f"--{path.replace('_', '-')}" in text, path
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if line.startswith("  --") and not line.startswith("  --objective") and ".arguments" not in line:
            assert lines[number + 1].startswith("      "), f"{line.strip()} is not explained"


def test_inherited_fields_are_explained_and_positionals_come_first() -> None:
    assert {"ways", "lake_runs", "model"} <= set(attribute_docs(EvaluateOptions))
    text = page(EvaluateOptions, positionals=["model"])
    assert text.index("\n  MODEL\n") < text.index("--ways N [N …]")


def test_lists_of_names_are_explained() -> None:
    text = page(EvaluateOptions, positionals=["model"])
    assert "--methods NAME [NAME …]" in text
    assert "(default: all)" in text
    assert "--kshot N [N …]" in text
    assert "(default: )" not in text
