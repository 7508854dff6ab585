"""Everything that reads or writes a repository; every git process is started in ``process``."""
