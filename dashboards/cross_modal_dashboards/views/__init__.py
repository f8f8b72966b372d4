"""The pages, one a file; Streamlit runs them as scripts.

Not a folder `pages`: Streamlit would take its files for pages of its own and run them without `app.py`.
"""
