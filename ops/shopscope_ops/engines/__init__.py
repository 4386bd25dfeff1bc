"""Engines: start, stop and status of what receives the telemetry."""
