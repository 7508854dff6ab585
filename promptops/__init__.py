"""Versions, runs, logs and releases prompt templates from your own git repository."""

__version__ = "0.1.0"
