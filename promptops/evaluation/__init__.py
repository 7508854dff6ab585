"""Versions compared: on a golden set, on logged inputs (shadow), in history (bisect). Judges calibrated."""
