"""Data that the benchmarks and the long tests make on the spot."""
