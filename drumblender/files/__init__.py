"""Files, processes and progress: what every command needs and no sound is in."""
