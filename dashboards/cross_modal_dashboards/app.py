"""The script that Streamlit runs for every view: the list of pages, and nothing else."""

from pathlib import Path

import streamlit as st

from cross_modal_dashboards.icon import page_icon
from cross_modal_dashboards.page_titles import TITLES
from cross_modal_dashboards.sign_in import require_sign_in

PAGES = Path(__file__).with_name("views")

st.set_page_config(page_title="cross-modal", page_icon=page_icon(), layout="wide")
require_sign_in()
st.navigation(
    [
        st.Page(
            PAGES / f"{name}.py",
            title=title,
            icon=icon,
            url_path=name,
            default=name == "welcome",  # a default page has no address of its own, and a link to Matches needs one
            visibility="hidden" if name == "welcome" else "visible",
        )
        for name, (title, icon) in TITLES.items()
        if (PAGES / f"{name}.py").is_file()
    ],
    position="top",
).run()
