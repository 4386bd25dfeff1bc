"""Metrics: the SDK's own, the team's prometheus_client registry, OpenTelemetry's meters; pushed or scraped."""
