"""The query service: SQL over HTTP on the released Gold tables."""
