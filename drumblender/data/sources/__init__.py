"""Sources of a dataset: recordings, an archive, an object store, the web."""
