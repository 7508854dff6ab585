"""The registry in one SQLite file: how it is opened, made, kept whole, recovered and swapped."""
