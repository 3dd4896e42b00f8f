"""What recurs: landing, streams, models and releases, in one process."""
