"""What verbs print: one package per report, the forms side by side; numbers and tables they share."""
