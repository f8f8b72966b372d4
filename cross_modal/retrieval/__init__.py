"""Retrieval: exact ranking metrics in both directions and example matches."""
