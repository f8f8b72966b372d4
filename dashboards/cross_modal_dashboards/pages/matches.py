"""A placeholder."""

import streamlit as st

from cross_modal_dashboards.choice import chosen

c = chosen()
st.title("Matches")
st.write(c.run.run_id)
