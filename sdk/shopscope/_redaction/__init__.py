"""What never leaves, and the patterns that find it."""
