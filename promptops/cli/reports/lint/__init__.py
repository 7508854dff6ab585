"""Findings of lint as text, GitHub annotations and SARIF."""
