"""The registry in one SQLite file. The only SQL of the project is in this folder."""
