"""Grafana boards for commerce services, derived from ``shopscope.toml``."""
