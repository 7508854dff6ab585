"""Whether the provider, the users or the quality have changed, and who is told."""
