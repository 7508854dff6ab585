"""Personal data and secrets found in texts, and replaced before anything is logged."""
