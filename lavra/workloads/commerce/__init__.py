"""The commerce workload: a shop that takes orders."""
