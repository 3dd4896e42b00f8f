"""PEP 249 driver for Lavra's query service."""
