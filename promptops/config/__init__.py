"""promptops.yaml and what every layer needs: YAML with positions, clock, locks, bounded patterns."""
