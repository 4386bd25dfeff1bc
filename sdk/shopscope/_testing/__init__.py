"""What ``shopscope.testing`` is made of."""
