"""``python -m cross_modal_dashboards``: what ``cross-modal explore`` starts."""

from __future__ import annotations

import argparse

from cross_modal_dashboards.known_galleries import pass_on
from cross_modal_dashboards.server import serve


def main() -> None:
    """Reads the words of the command line and serves."""
    parser = argparse.ArgumentParser(prog="cross_modal_dashboards", description="The explorer's server.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8501)
    parser.add_argument("--allow-host", nargs="*", default=[], metavar="NAME")
    parser.add_argument("--gallery", nargs="*", default=[], metavar="GALLERY")
    options = parser.parse_args()
    pass_on(options.gallery)
    serve(options.host, options.port, options.allow_host)


if __name__ == "__main__":
    main()
