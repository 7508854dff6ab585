"""Releases: which version a channel serves, how a canary is judged, and how that is kept in git."""
