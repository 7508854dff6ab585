"""promptfoo configurations, read and written."""
