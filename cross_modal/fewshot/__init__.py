"""Few-shot: episodes, how they are scored, how picture and name are mixed, and intervals."""
