"""The REST API, version 1: the same flows as the console, for other software."""
