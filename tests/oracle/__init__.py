"""Slow and plain second opinions, written from the rules' words alone."""
