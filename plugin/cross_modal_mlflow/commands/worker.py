"""``cross-modal worker``: joins a sweep that was started elsewhere, from any machine, any number of times."""

from __future__ import annotations

import os
from dataclasses import dataclass

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.arguments import parse
from cross_modal_mlflow.command_line import Call
from cross_modal_mlflow.sweep.options import STORAGE

EXAMPLES = """\
examples:
  cross-modal worker --study birds                                        the journal in ./mlruns
  cross-modal worker --study birds --storage postgresql://me@host/optuna  from another machine
  CROSS_MODAL_STORAGE=postgresql://… cross-modal worker --study birds     keeps the password off the process list"""


@dataclass
class WorkerOptions:
    """One worker of a sweep.

    Attributes:
        study: The study's name.
        storage: Where it lives: a file or postgresql://…; the variable CROSS_MODAL_STORAGE, else the sweep's default.
        data: Where the data is on this machine, if elsewhere than on the one that started the sweep.
        trials: Leave after so many trials; 0 stays until the study has all of its own.
        threads: Threads of this worker; 0 takes all cores.
        number: Which worker this is: its sampler's seed counts on from the study's. 0 takes the process's number.
    """

    study: str = ""
    storage: str | None = None
    data: str | None = None
    trials: int = 0
    threads: int = 0
    number: int = 0


def run(call: Call) -> None:
    """Runs the command."""
    options = parse(
        WorkerOptions,
        call.arguments,
        command=call.command,
        examples=EXAMPLES,
        usage="--study NAME [options]",
    )
    if not options.study:
        raise CrossModalError("--study: expected the name of a study, found nothing")
    for name in ("trials", "threads", "number"):
        if getattr(options, name) < 0:
            raise CrossModalError(f"--{name}: expected 0 or more, found {getattr(options, name)}")
    if options.threads:
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):  # before torch is imported
            os.environ[name] = str(options.threads)
    from cross_modal_mlflow.summary import stderr
    from cross_modal_mlflow.sweep.join import join

    done = join(
        options.study,
        options.storage or os.environ.get(STORAGE),
        console=stderr(),
        data=options.data,
        trials=options.trials,
        threads=options.threads,
        number=options.number,
    )
    print(f"worker of {options.study}: {done} trial{'' if done == 1 else 's'} done")
