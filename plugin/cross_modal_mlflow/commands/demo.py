"""``cross-modal demo``: the main job on the built-in glyphs: no data, no download, a few minutes on a CPU."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import as_file, files

from cross_modal_mlflow.arguments import parse
from cross_modal_mlflow.command_line import Call
from cross_modal_mlflow.report import Goal
from cross_modal_mlflow.training_options import TrainingOptions

EXAMPLES = """\
examples:
  cross-modal demo
  cross-modal demo --register glyphs                     and serve it: the last lines say how
  cross-modal demo --json demo.json --training.seed 1
  cross-modal demo --training.steps 20                   a quick look at what is logged
  cross-modal explore                                    and look at what came of it"""
ONE_SHOT, ZERO_SHOT, BOTH = (
    "episodes/20way_1shot/accuracy",
    "episodes/20way_0shot/accuracy",
    "episodes/20way_1shot_text/accuracy",
)


@dataclass
class DemoOptions(TrainingOptions):
    """The demo.

    Attributes:
        study: Afterwards tune eight few-shot heads on the twin, so that there is a study to look at: seconds.
    """

    study: bool = True


def run(call: Call) -> None:
    """Runs the command."""
    resource = files("cross_modal_mlflow") / "demo.yaml"
    with as_file(resource) as path:
        config = str(path) if path.is_file() else None
        options = parse(
            DemoOptions, call.arguments, command=call.command, examples=EXAMPLES, usage="[options]", config=config
        )
    from cross_modal.training.processes import joined_processes
    from cross_modal_mlflow.follower import follow

    with joined_processes() as processes:
        if processes.leads:
            _lead(call, options)
        else:
            follow(processes)


def _lead(call: Call, options: DemoOptions) -> None:
    """The whole job, in the only process or the first."""
    experiment = options.experiment()
    from cross_modal_mlflow.pipeline import train_and_evaluate
    from cross_modal_mlflow.summary import print_lines, print_outcome, stderr, stdout

    outcome = train_and_evaluate(
        call.command, experiment, stderr(), register_as=options.register, explorer=options.explorer
    )
    print_outcome(
        stdout(),
        outcome,
        call.json,
        goals=goals(outcome.report.metrics),
        next_steps=[
            *outcome.serve,
            f"cross-modal evaluate runs:/{outcome.report.run_id}/model --ways 50 --shots 0 1",
            "cross-modal explore    this run in a browser",
            "cross-modal train --data YOUR_FOLDER_OF_CLASS_FOLDERS",
        ],
    )
    if options.study:
        from cross_modal_mlflow.demo_study import run_demo_study

        print_lines(stdout(), ["", run_demo_study(experiment, str(outcome.report.run_id), stderr())])


def goals(metrics: dict[str, float]) -> dict[str, Goal]:
    """What the demo should reach on unseen characters."""
    found = {name: metrics[name] for name in (ONE_SHOT, ZERO_SHOT, BOTH) if name in metrics}
    table = {}
    for name, least in ((ONE_SHOT, 0.975), (ZERO_SHOT, 0.80)):
        if name in found:
            table[name] = Goal(f"≥ {100 * least:.1f} %", found[name] >= least)
    if len(found) == 3:
        alone = max(found[ONE_SHOT], found[ZERO_SHOT])
        table[BOTH] = Goal(f"> {100 * alone:.2f} % (better than either alone)", found[BOTH] > alone)
    return table
