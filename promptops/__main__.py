from promptops.cli.main import entry

entry()
