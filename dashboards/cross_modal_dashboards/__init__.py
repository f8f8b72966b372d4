"""The Streamlit explorer: one page a file, thin over the library and the plugin; read-only on MLflow."""
