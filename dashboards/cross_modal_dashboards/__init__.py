"""The Streamlit explorer (comes with a later release)."""
