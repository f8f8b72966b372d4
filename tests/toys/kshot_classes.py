"""Toy K-shot data: unit vectors around class centres, names near them, and two plain classifiers."""

import numpy as np

from cross_modal.fewshot.classifiers.classifier import FewShotClassifier
from cross_modal.fewshot.kshot_sides import LearningSide, TestSide

DIM = 16


class Means(FewShotClassifier):
    """Cosine to each class's mean shot, or its text; `sharpness` is there to be searched."""

    closed_form = True
    grid = {"sharpness": [1.0, 2.0]}  # noqa: RUF012

    def __init__(self, texts=None, classes=None, *, sharpness=1.0, scale=100.0, metric="cosine"):
        self.texts, self.classes, self.sharpness = texts, classes, sharpness
        self.scale, self.metric = scale, metric

    def _fit(self, X, y):
        means = self._class_means()
        if self.texts_ is not None:
            means = np.where(self.shots_[:, None] > 0, means, self.texts_)
        self.means_ = self._place(means)

    def _scores(self, X):
        return self.sharpness * X @ self.means_.T


class Names(FewShotClassifier):
    """Cosine to each class's text."""

    closed_form = True
    needs_texts = True

    def __init__(self, texts=None, classes=None, *, scale=100.0, metric="cosine"):
        self.texts, self.classes, self.scale, self.metric = texts, classes, scale, metric

    def _fit(self, X, y):
        pass

    def _scores(self, X):
        return X @ self._class_vectors().T


class RowMeans(Means):
    """Takes every view as a shot, and cannot take classes afterwards."""

    views = "rows"
    closed_form = False


class MeanMeans(Means):
    """Takes the mean of the views."""

    views = "mean"


TOYS = {"zero_shot": Names, "means": Means, "row_means": RowMeans, "mean_means": MeanMeans}


def points(labels, seed, noise=1.2, classes=8):
    """(N, DIM) float32 embeddings of items of these classes 0, 1, …."""
    centres = np.random.default_rng(0).normal(size=(classes, DIM))
    drawn = centres[labels] + noise * np.random.default_rng(seed).normal(size=(len(labels), DIM))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def sides(classes=6, train=12, test=5, validation=0, texts=True, views=0, **more):
    """A learning side and a test side of named classes."""
    names = np.array([f"kind {index}" for index in range(classes)])
    rows = {
        split: np.repeat(np.arange(classes), count)
        for split, count in (("train", train), ("test", test), ("validation", validation))
    }
    learning = {"train": points(rows["train"], 1), "train_labels": names[rows["train"]]}
    if validation:
        learning |= {"validation": points(rows["validation"], 2), "validation_labels": names[rows["validation"]]}
    if texts:
        learning |= {"texts": points(np.arange(classes), 3, 1.0), "classes": names}
    if views:
        learning["views"] = np.stack([points(rows["train"], 10 + view, 0.3) for view in range(views)], 1)
    return LearningSide(**(learning | more)), TestSide(points(rows["test"], 4), names[rows["test"]])
