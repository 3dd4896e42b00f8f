"""Sources of the shipped domains, with data made on the spot."""
