"""New projects: what `lavra init` writes."""
