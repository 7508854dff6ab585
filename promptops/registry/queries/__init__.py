"""Reading and writing in SQL that every engine understands, a file per subject."""
