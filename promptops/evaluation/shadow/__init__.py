"""Two versions on the same inputs, in front of no user: replayed, compared, shown."""
