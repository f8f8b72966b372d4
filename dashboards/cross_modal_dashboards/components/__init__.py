"""What Streamlit lacks: tiles that can be clicked, a map of points that can be lassoed. Inline, offline, no build."""
