"""The Gold cache: segments of Arrow memory in mapped files, and the releases made of them."""
