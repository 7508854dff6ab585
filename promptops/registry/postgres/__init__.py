"""The registry in a PostgreSQL database. psycopg (extra `postgres`) is imported here and nowhere else."""
