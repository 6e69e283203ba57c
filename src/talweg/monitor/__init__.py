"""Watching and steering a run by its folder, from another process."""
