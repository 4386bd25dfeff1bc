"""Spans from their start to the bytes that leave, and the context in which they are current."""
