"""Everything promptops has seen, in one SQLite file. The only SQL of the project is in this folder."""
