"""The command line, which writes down what a process reads: `torchrun -m toys.counted_ranks OUT train …`.

Writes OUT/RANK.json: the shards that it listed, the pictures that it looked at, and of every step the names of the
batch's pictures and of those that it decoded.
"""

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

from cross_modal.data import decode, shard_listing
from cross_modal.data.pictures import Pictures
from cross_modal.training.inputs import TrainingInputs
from cross_modal_mlflow.command_line import main

Found = dict[str, Any]


def write_down(found: Found) -> None:
    """Puts a note before all that is counted."""
    list_shard, check, load, pixels = shard_listing.list_shard, decode.check, TrainingInputs.load, Pictures.pixels
    lock, now = threading.Lock(), threading.local()

    def listed(shard: Path, limit: int) -> Any:
        found["listed"].append(shard.name)
        return list_shard(shard, limit)

    def checked(cell: Any, max_pixels: int, *, whole: bool) -> str | None:
        with lock:
            found["checked"].append(cell.name)
        return check(cell, max_pixels, whole=whole)

    def loaded(inputs: TrainingInputs, step: int) -> Any:
        now.decoded = []
        answer = load(inputs, step)
        names = [cell.name for cell in inputs.pictures._cells]
        batch = [names[inputs.pictures._slots[row]] for row in inputs.batches.batch(step).images.tolist()]
        found["steps"].append([step, batch, [names[slot] for slot in now.decoded]])
        del now.decoded
        return answer

    def decoded(pictures: Pictures, rows: Any) -> Any:
        if hasattr(now, "decoded"):  # for a step, not for a validation
            assert not pictures.kept
            now.decoded += pictures._slots[rows].tolist()
        return pixels(pictures, rows)

    shard_listing.list_shard, decode.check = listed, checked
    TrainingInputs.load, Pictures.pixels = loaded, decoded  # type: ignore[method-assign]


if __name__ == "__main__":
    notes: Found = {"listed": [], "checked": [], "steps": []}
    write_down(notes)
    code = main(sys.argv[2:])
    (Path(sys.argv[1]) / f"{os.environ['RANK']}.json").write_text(json.dumps(notes))
    sys.exit(code)
