"""What a person or a pipeline does to a channel: one file per action, and what several share."""
