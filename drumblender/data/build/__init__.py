"""How a dataset is computed from recordings, and how that goes on where it was stopped."""
