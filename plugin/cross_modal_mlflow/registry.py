"""The model registry: every trained twin may become a version, the best of them is the ``champion``.

Better means more than a higher number: measured on the same items with the same settings, and the whole 95 % interval
above the champion's. Where it cannot be said, the champion stays, and the registration says why. A version's tags hold
what the next one is compared with.
"""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.store import Store, one_at_a_time
from cross_modal_mlflow.tracking import tracking_for

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from cross_modal_mlflow.report import Report

ALIAS = "champion"
_PREFIX = "cross_modal."
_OF_PAIRS = {"verification/auc": -1, "verification/spearman": -2}  # graded pairs have the latter
_EPISODES = re.compile(r"^episodes/(?P<ways>\d+)way_(?P<shots>\d+)shot(?P<text>_text)?/accuracy$")


@dataclass(frozen=True)
class Score:
    """What versions of a model are compared by.

    Attributes:
        metric: The metric's name; more is better.
        value: Its value.
        half_width: Of its 95 % interval; None where it has none.
        digest: Of the items that were measured.
        setting: How episodes were drawn, in words.
    """

    metric: str
    value: float
    half_width: float | None
    digest: str
    setting: str = ""

    def __str__(self) -> str:
        return f"{self.value:.4f}" + ("" if self.half_width is None else f" ± {self.half_width:.4f}")

    def tags(self) -> dict[str, str]:
        """As tags of a model version; `from_tags` reads them."""
        tags = {"metric": self.metric, "score": repr(self.value), "digest": self.digest, "setting": self.setting}
        if self.half_width is not None:
            tags["ci95"] = repr(self.half_width)
        return {f"{_PREFIX}{name}": value for name, value in tags.items()}

    @classmethod
    def from_tags(cls, tags: Mapping[str, str]) -> Score | None:
        """The score that a version's tags hold; None where they hold none, or not a number."""
        own = {name.removeprefix(_PREFIX): value for name, value in tags.items() if name.startswith(_PREFIX)}
        try:
            half_width = float(own["ci95"]) if "ci95" in own else None
            return cls(own["metric"], float(own["score"]), half_width, own["digest"], own.get("setting", ""))
        except (KeyError, ValueError):
            return None


@dataclass(frozen=True)
class Registration:
    """A registered version.

    Attributes:
        name: The registered model.
        version: The number of the version.
        champion: Whether it is the champion now.
        reason: Why, or why not: one sentence.
    """

    name: str
    version: int
    champion: bool
    reason: str

    @property
    def sentence(self) -> str:
        """What happened, in one line."""
        state = f"is the {ALIAS}" if self.champion else f"is not the {ALIAS}"
        return f"registered {self.name} version {self.version}, which {state}: {self.reason}"

    def serve(self, store: Store) -> list[str]:
        """The shell lines that serve the champion."""
        return [
            f"export MLFLOW_TRACKING_URI={store.uri}",
            f"mlflow models serve -m {shlex.quote(f'models:/{self.name}@{ALIAS}')} --env-manager local",
        ]


def check_name(name: str) -> None:
    """Refuses a name that the registry would refuse: before hours of training, not after them.

    Raises:
        CrossModalError: If it is empty, or holds a ``/`` or a ``:``.
    """
    if not name.strip() or {"/", ":"} & set(name) or name in {".", ".."}:
        raise CrossModalError(f"--register: expected a name without '/' and ':', found {name!r}")


def register(store: Store, name: str, model_uri: str, report: Report) -> Registration:
    """Registers a logged model as a new version; the better one becomes the champion.

    Args:
        store: Where the model was logged.
        name: The registered model, made where it is absent.
        model_uri: The logged model, ``models:/m-…``.
        report: What was measured, and how.

    Returns:
        The version, and whether it is the champion.

    Raises:
        CrossModalError: If the name is not one, or the registry refuses.
    """
    check_name(name)
    from mlflow.exceptions import MlflowException

    client = store.client
    try:
        # One at a time: of two first ones only one is the champion. The registry looks the model up where MLflow's
        # global URI points, whatever the client's.
        with one_at_a_time(store.uri), tracking_for(store.uri):
            _make(client, name)
            present = client.get_registered_model(name).aliases.get(ALIAS)
            reigning = None if present is None else Score.from_tags(client.get_model_version(name, present).tags)
            score = measured(report, None if reigning is None else reigning.metric)
            version = client.create_model_version(
                name,
                model_uri,
                run_id=report.run_id,
                model_id=model_uri.removeprefix("models:/"),
                tags={f"{_PREFIX}version": report.version, **({} if score is None else score.tags())},
            ).version
            _link(client, model_uri.removeprefix("models:/"), name, str(version))
            wins, reason = (True, "the first one") if present is None else better(score, reigning, str(present))
            if wins:
                client.set_registered_model_alias(name, ALIAS, str(version))
    except (MlflowException, OSError) as error:
        said = " ".join(str(error).split())[:200]
        raise CrossModalError(
            f"model registry of {store.uri}: expected it to take {model_uri} as {name!r}, found: {said}; "
            "the run and its model are logged"
        ) from error
    return Registration(name, int(version), wins, reason)


def _link(client: MlflowClient, model_id: str, name: str, version: str) -> None:
    """Lets the logged model's page show its version, as `mlflow.register_model` does and the client does not."""
    from mlflow.utils.mlflow_tags import MLFLOW_MODEL_VERSIONS

    versions = json.loads(client.get_logged_model(model_id).tags.get(MLFLOW_MODEL_VERSIONS, "[]"))
    versions.append({"name": name, "version": version})
    client.set_logged_model_tags(model_id, {MLFLOW_MODEL_VERSIONS: json.dumps(versions)})


def measured(report: Report, metric: str | None = None) -> Score | None:
    """The score of a report.

    Args:
        report: What was measured.
        metric: The champion's metric, which is taken where it was measured. Else accuracy in episodes of as many
            classes and as few pictures as there are, pictures with names before pictures alone before names alone;
            without episodes, recall at 1; of pairs, the area under the ROC curve, of graded ones Spearman's
            correlation.

    Returns:
        The score; None where nothing was measured that could be one.

    Example:
        >>> from cross_modal_mlflow.report import Report
        >>> name = "episodes/20way_1shot/accuracy"
        >>> found = measured(Report("train", {"split_digest": "ab"}, {name: 0.9, f"{name}/ci95": 0.01}))
        >>> print(found.metric, found)
        episodes/20way_1shot/accuracy 0.9000 ± 0.0100
    """
    metrics = {name: value for name, value in report.metrics.items() if math.isfinite(value)}
    if metric not in metrics:
        metric = max(metrics, key=_weight, default=None)
        if metric is None or not _weight(metric)[0]:
            return None
    about = report.protocol
    setting = ""
    if metric.startswith("episodes/"):
        within = " within a prefix" if about.get("within_prefix") else ""
        setting = f"{about.get('queries', '?')} queries a class{within}"
    digest = str(about.get("split_digest", ""))
    return Score(metric, metrics[metric], metrics.get(f"{metric}/ci95"), digest, setting)


def better(score: Score | None, champion: Score | None, version: str) -> tuple[bool, str]:
    """Whether a score beats the champion's beyond doubt, and what there is to say.

    Args:
        score: Of the new version.
        champion: Of the present champion.
        version: The present champion's number.

    Returns:
        The answer and its reason.

    Example:
        >>> old = Score("recall_at_1", 0.80, 0.02, "ab")
        >>> better(Score("recall_at_1", 0.90, 0.02, "ab"), old, "1")
        (True, 'recall_at_1 0.9000 ± 0.0200 beats 0.8000 ± 0.0200 of version 1')
        >>> better(Score("recall_at_1", 0.83, 0.02, "ab"), old, "1")
        (False, 'version 1 stays: recall_at_1 0.8300 ± 0.0200 against 0.8000 ± 0.0200, the intervals overlap')
    """
    stays = f"version {version} stays"
    if champion is None:
        return False, f"{stays}: it carries no score to compare with"
    if score is None:
        return False, f"{stays}: nothing was measured that it could be compared by"
    if score.digest != champion.digest or not score.digest:
        return False, f"{stays}: measured on other data (digest {score.digest}, the champion's {champion.digest})"
    if score.metric != champion.metric:
        return False, f"{stays}: its metric {champion.metric} was not measured"
    if score.setting != champion.setting:
        return False, f"{stays}: measured in another way ({score.setting}, the champion {champion.setting})"
    compared = f"{score.metric} {score} against {champion}"
    if score.half_width is None or champion.half_width is None:
        return False, f"{stays}: {compared}, without an interval there is no saying"
    if score.value - score.half_width > champion.value + champion.half_width:
        return True, f"{score.metric} {score} beats {champion} of version {version}"
    if score.value + score.half_width < champion.value - champion.half_width:
        return False, f"{stays}: {compared}"
    return False, f"{stays}: {compared}, the intervals overlap"


def _make(client: MlflowClient, name: str) -> None:
    """Makes the registered model where it is absent."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code not in {"RESOURCE_ALREADY_EXISTS", "ALREADY_EXISTS"}:
            raise


def _weight(metric: str) -> tuple[int, int, int, int]:
    """How much a metric says about a model; the first number is 0 for those that are no score."""
    found = _EPISODES.match(metric)
    if found:
        shots = int(found["shots"])
        return 2, int(found["ways"]), 1 if shots else 0, (1 if found["text"] else 0) - 2 * shots
    if metric in _OF_PAIRS:  # twins that learned from pairs
        return 1, 0, 0, _OF_PAIRS[metric]
    return (1, 0, 0, 1 if "/image_to_" in metric else 0) if metric.endswith("/recall_at_1") else (0, 0, 0, 0)
