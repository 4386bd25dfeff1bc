"""The demo: a shop of six processes under load, and the answers about it."""
