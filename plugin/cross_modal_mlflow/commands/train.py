"""``cross-modal train``: trains a twin on any source and measures it on classes that it never saw."""

from __future__ import annotations

from cross_modal_mlflow.arguments import parse
from cross_modal_mlflow.command_line import Call
from cross_modal_mlflow.training_options import TrainingOptions

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
  cross-modal train --print_config > experiment.yaml     then: cross-modal train --config experiment.yaml"""


def run(call: Call) -> None:
    """Runs the command."""
    options = parse(
        TrainingOptions, call.arguments, command=call.command, examples=EXAMPLES, usage="--data SOURCE [options]"
    )
    experiment = options.experiment()
    from cross_modal_mlflow.pipeline import train_and_evaluate
    from cross_modal_mlflow.summary import print_outcome, stderr, stdout

    outcome = train_and_evaluate(
        call.command, experiment, stderr(), register_as=options.register, explorer=options.explorer
    )
    next_steps = [*outcome.serve, *outcome.next_steps, f"cross-modal evaluate runs:/{outcome.report.run_id}/model"]
    print_outcome(stdout(), outcome, call.json, next_steps=next_steps)
