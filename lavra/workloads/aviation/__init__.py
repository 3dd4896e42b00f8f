"""The aviation workload: an airline's maintenance system, followed by change data capture."""
