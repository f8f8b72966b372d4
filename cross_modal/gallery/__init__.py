"""Reference embeddings on disk: enrol once, then search, classify, identify and find duplicates for ever."""
