"""Libraries: a person's folders of recordings, what is in them, and what it is called."""
