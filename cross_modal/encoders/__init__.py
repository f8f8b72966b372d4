"""Encoders: trunks that give tokens, one attention pooling, the twin that stands on both, and a twin on disk."""
