"""The score that picks the best checkpoint: few-shot accuracy on validation classes, which were never trained on.

With labels the score is the mean of one-shot accuracy (pictures), zero-shot accuracy (names) and what else the data
allows, over episodes that are the same at every validation. Without labels it is the mean recall at 1 of both
retrieval directions.
"""

from __future__ import annotations

import numpy as np

from cross_modal.configuration import EvaluationConfig, Experiment
from cross_modal.data.items import Items
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.training.inputs import open_pictures

SCORE = "validation/score"
EPISODES, WAYS, QUERIES = 200, 20, 5
