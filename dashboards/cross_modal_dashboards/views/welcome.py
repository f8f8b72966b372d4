"""The first view of somebody who has no run yet: what to do, and the demo at the push of a button."""

import streamlit as st

from cross_modal_dashboards import demo_process, resources
from cross_modal_mlflow.store import tracking_uri

uri = tracking_uri()
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
            st.switch_page("views/matches.py")
    else:
        st.error(f"The demo ended with exit code {state.exit_code}.")
        st.button("Run it again", on_click=demo_process.start, args=(uri,), key="again")
    if state.lines:
        st.code("\n".join(state.lines), language=None)


progress()
