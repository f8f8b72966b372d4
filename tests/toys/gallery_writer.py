"""Processes that write to a gallery until they are killed, and say what was acknowledged.

    python gallery_writer.py FOLDER

For every line that it reads (a trial's name) it starts a writer, and prints its process id. The writer upserts batches
for ever and prints the number of each once `upsert` returned. When it is dead, "dead" is printed. A batch is 40 new
rows and 10 that every batch rewrites, all with the batch's number: half a batch would show.

Writers are forked before LanceDB is used, though after it was imported: twenty imports would take longer than all else.
"""

import os
import sys
import warnings

import lancedb  # noqa: F401
from toys.reference_rows import binding, rows

from cross_modal.gallery.gallery import Gallery

NEW, KEPT = 40, 10


def write(folder: str, trial: str) -> None:
    gallery = Gallery.open(folder)
    batch = 0
    while True:
        ids = [f"{trial}-{batch}-{row}" for row in range(NEW)] + [f"{trial}-kept-{row}" for row in range(KEPT)]
        gallery.upsert(rows(ids, seed=batch, extra={"batch": [batch] * len(ids)}))
        print(batch, flush=True)
        batch += 1


def main() -> None:
    warnings.simplefilter("ignore")
    folder = sys.argv[1]
    Gallery.create("memory", binding())
    for trial in sys.stdin:
        child = os.fork()
        if not child:
            write(folder, trial.strip())
        print(child, flush=True)
        os.waitpid(child, 0)
        print("dead", flush=True)


if __name__ == "__main__":
    main()
