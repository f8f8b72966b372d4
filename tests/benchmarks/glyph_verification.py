"""Is this the picture of that name? The demo's twin on characters that it never saw.

    python tests/benchmarks/glyph_verification.py                  # runs the demo first: about 3 minutes
    python tests/benchmarks/glyph_verification.py --model MODEL    # a demo's model, trained before

Pictures of unseen characters with their own name, and with the name of another one, in equal number. Goal: an equal
error rate of at most 8 %. Two pictures against each other are measured beside it.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from omniglot import cross_modal

GOAL = 0.08


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a demo's model; none runs the demo")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        if options.model is None:
            found = cross_modal(Path(name), "demo")
        else:
            model = str(Path(options.model).absolute()) if Path(options.model).exists() else options.model
            few = ["--ways", "5", "--shots", "0", "--episodes", "100"]
            found = cross_modal(Path(name), "evaluate", model, "--data", "glyphs", *few)
    for kind in ("picture_text", "picture_picture"):
        value, half = (found[f"verification/{kind}/eer{end}"] for end in ("", "/ci95"))
        print(f"verification/{kind}/eer: {value:.2%} ± {half:.2%}" + (f"  goal {GOAL:.0%}" if "text" in kind else ""))


if __name__ == "__main__":
    main()
