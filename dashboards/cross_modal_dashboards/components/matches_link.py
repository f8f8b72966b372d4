"""The way from another page to the Matches of a run."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import streamlit as st

MATCHES = str(Path(__file__).parents[1] / "views" / "matches.py")


def open_matches(run_id: str, item: str | None = None) -> NoReturn:
    """Leaves the page for the matches of a run.

    Args:
        run_id: The run.
        item: An item of its gallery that is looked for.
    """
    st.switch_page(MATCHES, query_params={"run": run_id, **({} if item is None else {"id": item})})
