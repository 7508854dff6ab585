"""The chat completions format as data: requests built, replies and event streams read. No I/O."""
