"""talweg trains neural networks and keeps the descent under its user's control."""
