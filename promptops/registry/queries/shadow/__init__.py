"""Tables of shadow runs and of live shadow jobs."""
