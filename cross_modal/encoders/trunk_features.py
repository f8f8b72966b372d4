"""The tokens of a frozen trunk: read from the feature store where they are known, encoded and kept where not.

A frozen trunk gives the same tokens for the same item in every epoch, every trial of a sweep and every evaluation, and
costs nearly all of the time. What is missing is encoded when it is first met, so that a short run encodes no more
than it uses, and read back from the store at once: the values of a first epoch are those of all later ones. Workers
that meet the same missing items at the same time (the trials of a sweep draw the same batches) share them out.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import torch
from filelock import FileLock, Timeout

from cross_modal.encoders.feature_description import Modality, describe_encoder
from cross_modal.encoders.feature_store import FeatureStore
from cross_modal.encoders.tokens import Tokens
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError

CHUNK = 64  # items a forward pass of what is missing: kept at once, so that little is lost to a kill
SHARES = 4  # of the items, by key: each is encoded by one process at a time


class TrunkFeatures:
    """Tokens of one side of a twin with frozen trunks.

    Args:
        twin: The twin; its trunks must be frozen.
        modality: Which side.
        store: Where they are kept.

    Attributes:
        encoded: Items that had to be encoded so far.
        read: Items that were served so far.
        failure: Why nothing more is kept (the store is full, or values pass float16); None while all is well.
    """

    def __init__(self, twin: TwinEncoder, modality: Modality, store: FeatureStore) -> None:
        if not twin.frozen:
            raise CrossModalError("feature store: expected frozen trunks (twin.freeze: trunk), found trainable ones")
        self.entry = store.entry(describe_encoder(twin, modality, "tokens"))
        self.encoded = self.read = 0
        self.failure: str | None = None

    @torch.no_grad()
    def tokens(self, keys: np.ndarray, encode: Callable[[np.ndarray], Tokens]) -> Tokens:
        """The tokens of items.

        Args:
            keys: (B, 16) uint8, of `row_keys`.
            encode: Positions (M,) among the keys → their tokens; called for those that are missing.

        Returns:
            Tokens on the CPU, float16 from the store; float32 where some had to be encoded.
        """
        if self.failure is None:
            try:
                self._keep(keys, encode)
            except CrossModalError as error:
                self.failure = str(error)
        rows = self.entry.find(keys)
        missing, known = np.flatnonzero(rows < 0), np.flatnonzero(rows >= 0)
        if not known.size:
            return encode(missing).to("cpu")
        self.read += len(known)
        stored = self.entry.read(rows[known])
        pooled = None if stored.pooled is None else torch.from_numpy(stored.pooled)
        tokens = Tokens(torch.from_numpy(stored.values), torch.from_numpy(stored.mask), pooled)
        return _joined(tokens, known, encode(missing).to("cpu"), missing) if missing.size else tokens

    def _keep(self, keys: np.ndarray, encode: Callable[[np.ndarray], Tokens]) -> None:
        """Encodes what is missing, each key once, and appends it; first what no other process is at."""
        missing = np.flatnonzero(self.entry.find(keys) < 0)
        if not missing.size:
            return
        missing = missing[np.sort(np.unique(keys[missing], axis=0, return_index=True)[1])]
        shares = [missing[keys[missing, 0] % SHARES == share] for share in range(SHARES)]
        first = os.getpid() % SHARES
        waiting = [share for share in (*range(first, SHARES), *range(first)) if shares[share].size]
        for timeout in (0, -1):  # those that are taken come last, when most of them are there
            for share in list(waiting):
                if not self.entry.folder.is_dir():  # a lock would make it anew
                    raise CrossModalError(f"{self.entry.folder}: expected the folder of open features, found it pruned")
                try:
                    with FileLock(self.entry.folder / f"share-{share}.lock", timeout=timeout):
                        rows = shares[share]
                        self._encode(keys, rows[self.entry.find(keys[rows]) < 0], encode)
                except Timeout:
                    continue
                waiting.remove(share)

    def _encode(self, keys: np.ndarray, missing: np.ndarray, encode: Callable[[np.ndarray], Tokens]) -> None:
        """Encodes the items at these positions and appends them, some at a time."""
        for start in range(0, len(missing), CHUNK):
            rows = missing[start : start + CHUNK]
            tokens = encode(rows).to("cpu")
            pooled = None if tokens.pooled is None else tokens.pooled.float().numpy()
            lengths = tokens.mask.sum(1).numpy()
            self.entry.append(keys[rows], tokens.values[tokens.mask].float().numpy(), lengths, pooled)
            self.encoded += len(rows)


def _joined(stored: Tokens, known: np.ndarray, fresh: Tokens, missing: np.ndarray) -> Tokens:
    """The tokens of one batch, some from the store and some encoded, in the batch's order."""
    longest, count = max(stored.mask.shape[1], fresh.mask.shape[1]), len(known) + len(missing)
    values = torch.zeros(count, longest, stored.values.shape[2])
    mask = torch.zeros(count, longest, dtype=torch.bool)
    pooled = None if stored.pooled is None else torch.zeros(count, stored.pooled.shape[1])
    for part, places in ((stored, torch.from_numpy(known)), (fresh, torch.from_numpy(missing))):
        values[places, : part.mask.shape[1]] = part.values.float()
        mask[places, : part.mask.shape[1]] = part.mask
        if pooled is not None and part.pooled is not None:
            pooled[places] = part.pooled.float()
    return Tokens(values, mask, pooled)
