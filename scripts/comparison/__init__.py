"""The public benchmark: what is compared, how it is measured, its tables, and a page to listen."""
