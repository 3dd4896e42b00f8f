"""Who may ask, what they may see, and the record of it."""
