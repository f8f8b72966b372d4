"""The script that Streamlit runs for every view: the list of pages, and nothing else."""

from pathlib import Path

import streamlit as st

from cross_modal_dashboards.icon import page_icon

PAGES = Path(__file__).with_name("views")
TITLES = {
    "matches": ("Matches", ":material/search:"),
    "sandbox": ("Few-shot sandbox", ":material/science:"),
    "pair": ("Pair", ":material/compare:"),
    "verification": ("Verification", ":material/verified:"),
    "map": ("Map", ":material/scatter_plot:"),
    "audit": ("Audit", ":material/fact_check:"),
    "runs": ("Runs and sweeps", ":material/monitoring:"),
    "welcome": ("Start", ":material/waving_hand:"),
}

st.set_page_config(page_title="cross-modal", page_icon=page_icon(), layout="wide")
st.navigation(
    [
        st.Page(
            PAGES / f"{name}.py",
            title=title,
            icon=icon,
            url_path=name,
            default=name == "matches",
            visibility="hidden" if name == "welcome" else "visible",
        )
        for name, (title, icon) in TITLES.items()
        if (PAGES / f"{name}.py").is_file()
    ],
    position="top",
).run()
