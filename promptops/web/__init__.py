"""Pages for people, drawn on the server: what was answered, how it did, what is released."""
