"""What Superset loads of the driver: its engine spec and the SQL dialect of its rewriting."""
