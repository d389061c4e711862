"""Building: how a dataset is computed from recordings, and goes on where it was stopped."""
