"""The embedded engine's memory: OTLP decoded into Arrow tables, and the DuckDB file that keeps them."""
