"""Datasets in buckets: made of the recordings of a bucket, by one machine or by many."""
