"""Other engines that answer the same queries, each in a process of its own."""
