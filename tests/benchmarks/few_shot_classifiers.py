"""Methods by shots, with intervals: every few-shot classifier on glyphs (a trained twin) and on Omniglot.

    python tests/benchmarks/few_shot_classifiers.py [--glyphs MODEL] [--omniglot MODEL MANIFEST] [OPTIONS ...]

Without a model the demo's twin is trained first; Omniglot is left out unless a twin (of tests/benchmarks/omniglot.py)
and the data's manifest are given. What stands behind the names goes to `cross-modal evaluate`. Hyper-parameters
are chosen on support and validation only, then the test pictures are read once; three splits, all classes against all.
No class has 16 pictures to spare, so the largest K takes what there is (--allow-fewer). Omniglot's texts say nothing
about shapes: image-only forms.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from cross_modal_mlflow.command_line import main as cross_modal

SHOTS = ["--kshot", "1", "2", "4", "8", "16", "--seeds", "1", "2", "3", "--allow-fewer"]


def trained_on_glyphs(folder: Path) -> str:
    """The demo's twin."""
    report = folder / "demo.json"
    if cross_modal(["demo", "--json", str(report)]):
        sys.exit("the demo failed")
    return f"runs:/{json.loads(report.read_text())['run_id']}/model"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--glyphs", metavar="MODEL")
    parser.add_argument("--omniglot", nargs=2, metavar=("MODEL", "MANIFEST"))
    known, rest = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        glyphs = known.glyphs or trained_on_glyphs(Path(folder))
        failed = cross_modal(["evaluate", glyphs, "--data", "glyphs", *SHOTS, "--methods", "all", *rest])
        if known.omniglot:
            model, manifest = known.omniglot
            omniglot = ["evaluate", model, "--data", manifest, "--without-texts", *SHOTS, "--methods", "all", *rest]
            failed |= cross_modal(omniglot)
    sys.exit(failed)


if __name__ == "__main__":
    main()
