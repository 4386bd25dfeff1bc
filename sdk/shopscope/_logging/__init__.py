"""structlog and the standard library through one chain."""
