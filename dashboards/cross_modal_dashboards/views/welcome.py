"""The bare address: the matches; where there is no run yet, what to do, and the demo at the push of a button."""

from pathlib import Path

import streamlit as st

from cross_modal.errors import CrossModalError
from cross_modal_dashboards import demo_process, resources
from cross_modal_dashboards.choice import stop_with
from cross_modal_mlflow.store import tracking_uri

uri = tracking_uri()
try:
    has_twins = any(each.has_model for each in resources.runs(uri))
except CrossModalError as error:
    stop_with(error)
if has_twins:
    kept = [(name, value) for name in st.query_params for value in st.query_params.get_all(name)]
    st.switch_page(str(Path(__file__).with_name("matches.py")), query_params=kept)
st.title("No twin to explore yet")
st.write("This explorer shows twins that `cross-modal` has trained. There is none in")
st.code(uri, language=None)
st.write("Train one on your own pictures, or run the demo: a few minutes on a laptop, nothing to download.")
st.code("cross-modal train --data YOUR_FOLDER_OF_CLASS_FOLDERS\ncross-modal demo", language="bash")
st.caption("If your runs are elsewhere, stop the explorer, set MLFLOW_TRACKING_URI, and start it again.")


@st.fragment(run_every="2s")
def progress() -> None:
    """The demo's last lines, while it runs."""
    state = demo_process.state()
    if state.running:
        st.button("Stop the demo", on_click=demo_process.stop, key="stop")
    elif state.exit_code is None:
        st.button("Run the demo", on_click=demo_process.start, args=(uri,), key="start", type="primary")
    elif state.exit_code == 0:
        st.success("The demo is done.")
        resources.runs.clear()
        if st.button("Explore it", type="primary", key="explore"):
            st.switch_page(str(Path(__file__).with_name("matches.py")))
    else:
        st.error(f"The demo ended with exit code {state.exit_code}.")
        st.button("Run it again", on_click=demo_process.start, args=(uri,), key="again")
    if state.lines:
        st.code("\n".join(state.lines), language=None)


progress()
