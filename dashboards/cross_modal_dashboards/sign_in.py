"""Who may look: nobody is asked on a machine of one's own; a team's explorer asks its OIDC provider.

Streamlit signs people in where `.streamlit/secrets.toml` has a section ``[auth]`` (`st.login`, which needs
``pip install 'streamlit[auth]'``). Where there is none, the explorer asks nobody: it listens on this machine only, or
stands behind a reverse proxy that asks.
"""

from __future__ import annotations

import streamlit as st
from streamlit.errors import StreamlitSecretNotFoundError


def require_sign_in() -> None:
    """Stops the page for whoever is not signed in, where people are asked to."""
    try:
        asked = "auth" in st.secrets
    except StreamlitSecretNotFoundError:
        asked = False
    if not asked or st.user.to_dict().get("is_logged_in"):  # no such field where nobody can be
        return
    st.title("cross-modal")
    st.write("This explorer is for members of a team.")
    st.button("Sign in", on_click=st.login, type="primary", key="sign in")
    st.stop()
