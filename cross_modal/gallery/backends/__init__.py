"""Where a gallery's rows live: in memory, in LanceDB on disk, or in Milvus. One port, one conformance suite."""
