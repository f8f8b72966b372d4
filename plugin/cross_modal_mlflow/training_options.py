"""What `demo` and `train` take on the command line: the experiment, and what happens to the twin afterwards."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from cross_modal.configuration import Experiment
from cross_modal_mlflow.registry import check_name


@dataclass
class TrainingOptions(Experiment):
    """One training run, whole.

    Attributes:
        register: Register the twin under this name; it gets the alias "champion" if it is the first, or better than
            the present one on the same items beyond the intervals of both.
        explorer: Leave what `cross-modal explore` shows of the run: a gallery of its test items beside a local store,
            the test pairs with their scores, a map.
    """

    register: str | None = None
    explorer: bool = True

    def experiment(self) -> Experiment:
        """The settings that make the twin what it is, which are logged with it.

        Returns:
            An `Experiment` proper.

        Raises:
            CrossModalError: If `register` is no name for a model.

        Example:
            >>> TrainingOptions(data="photos", register="birds").experiment() == Experiment(data="photos")
            True
        """
        if self.register is not None:
            check_name(self.register)
        return Experiment(**{field.name: getattr(self, field.name) for field in dataclasses.fields(Experiment)})
