"""One file per verb: ``promptops runs list`` is ``runs/list.py``."""
