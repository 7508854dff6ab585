"""Options that several verbs share, each declared once with its parser."""
