"""Toy embeddings for few-shot classifiers: classes around centres, and texts that lie apart from pictures."""

from dataclasses import dataclass

import numpy as np


@dataclass
class Toy:
    """Support, queries, validation (rows and labels each), texts (C, D) and their labels (C,)."""

    X: np.ndarray
    y: np.ndarray
    queries: np.ndarray
    truth: np.ndarray
    X_validation: np.ndarray
    y_validation: np.ndarray
    texts: np.ndarray
    classes: np.ndarray


def few_shots(classes=6, shots=4, dim=12, queries=5, noise=0.8, text_noise=0.8, gap=2.0, seed=0, dtype=np.float64):
    """Classes "a", "b", …; `shots` is a number, or one for each class; `gap` moves all texts in one direction."""
    random = np.random.default_rng(seed)
    names = np.array([f"kind {chr(97 + index)}" for index in range(classes)])
    centres, away = random.normal(size=(classes, dim)), random.normal(size=dim)

    def drawn(counts):
        rows = np.repeat(np.arange(classes), counts)
        return (centres[rows] + noise * random.normal(size=(len(rows), dim))).astype(dtype), names[rows]

    texts = (centres + text_noise * random.normal(size=(classes, dim)) + gap * away).astype(dtype)
    return Toy(*drawn(shots), *drawn(queries), *drawn(queries), texts, names)


def lengths_one(rows):
    """Rows at length one."""
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)
