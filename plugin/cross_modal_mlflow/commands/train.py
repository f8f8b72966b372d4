"""``cross-modal train``: trains a twin on any source and measures it on classes that it never saw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cross_modal_mlflow.arguments import parse
from cross_modal_mlflow.command_line import Call
from cross_modal_mlflow.training_options import TrainingOptions

if TYPE_CHECKING:
    from cross_modal_mlflow.pipeline import Outcome

EXAMPLES = """\
examples:
  cross-modal train --data photos/                       one folder a class
  cross-modal train --data items.csv --split-by group    image,text,label,group
  cross-modal train --data pairs.csv                     image_a,text_a,image_b,text_b,same: same or not?
  cross-modal train --data items.csv --twin.image.name open_clip:ViT-B-32 --twin.text.name open_clip:ViT-B-32 \\
      --twin.image.pretrained laion2b_s34b_b79k --freeze last:2
  cross-modal train --data items.csv --objective.loss TripletMarginLoss --objective.loss.arguments.margin 0.2 \\
      --objective.miner MultiSimilarityMiner
  cross-modal train --data photos/ --register birds      the better one becomes models:/birds@champion
  cross-modal train --resume RUN_ID                      goes on with a run that was broken off, as if it had not been
  torchrun --nproc-per-node 2 -m cross_modal_mlflow train --data items.csv       several processes, one twin
  cross-modal train --print_config > experiment.yaml     then: cross-modal train --config experiment.yaml"""


@dataclass
class TrainOptions(TrainingOptions):
    """One training run, or the rest of one.

    Attributes:
        resume: Go on with this run (its id, the beginning of it, or its name), which was killed or interrupted; its
            settings are its own.
    """

    resume: str | None = None


def run(call: Call) -> None:
    """Runs the command."""
    options = _options(call)
    from cross_modal.training.processes import joined_processes
    from cross_modal_mlflow.follower import follow

    with joined_processes() as processes:
        if processes.leads:
            _lead(call, options)
        else:
            follow(processes)


def _lead(call: Call, options: TrainOptions) -> None:
    """The whole job, in the only process or the first."""
    if options.resume is not None:
        outcome = _resumed(call, options.resume)
    else:
        experiment = options.experiment()
        from cross_modal_mlflow.pipeline import train_and_evaluate
        from cross_modal_mlflow.summary import stderr

        outcome = train_and_evaluate(
            call.command, experiment, stderr(), register_as=options.register, explorer=options.explorer
        )
    from cross_modal_mlflow.summary import print_outcome, stdout

    next_steps = [*outcome.serve, *outcome.next_steps, f"cross-modal evaluate runs:/{outcome.report.run_id}/model"]
    print_outcome(stdout(), outcome, call.json, next_steps=next_steps)


def _options(call: Call, config: str | None = None) -> TrainOptions:
    return parse(
        TrainOptions,
        call.arguments,
        command=call.command,
        examples=EXAMPLES,
        usage="--data SOURCE [options]",
        config=config,
    )


def _resumed(call: Call, asked: str) -> Outcome:
    """Goes on with a run; the words are read once more, over the run's settings, to see whether any differs."""
    from cross_modal_mlflow.pipeline import train_and_evaluate
    from cross_modal_mlflow.resumed_run import alone, as_options, refuse_other_settings, resumed_run
    from cross_modal_mlflow.store import open_store
    from cross_modal_mlflow.summary import stderr

    kept = resumed_run(open_store(), asked)
    with as_options(kept.experiment) as file:
        options = _options(call, file)
    refuse_other_settings(options.experiment(), kept.experiment)
    with alone(kept):
        return train_and_evaluate(
            kept.command,
            kept.experiment,
            stderr(),
            register_as=options.register or kept.register,
            explorer=options.explorer and kept.explorer,
            resume=kept,
        )
