"""One version or several over a golden set."""
