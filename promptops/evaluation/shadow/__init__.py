"""Two versions on the same inputs, without serving the answers to users: replayed, compared, shown."""
