"""Where a dataset comes from: recordings, an archive, an object store, the web."""
