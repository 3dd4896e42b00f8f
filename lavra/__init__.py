"""Lavra: BI as code on a medallion lake."""
