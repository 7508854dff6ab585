from promptops.cli import entry

entry()
