"""The ``shopscope`` command: engines, store, answers, page and load. One folder a capability."""
