"""Postgres as a stream: logical replication with pgoutput."""
