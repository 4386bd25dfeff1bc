"""Open-loop load: shoppers who arrive whether the shop keeps up or not.

``plan`` says who comes when, ``run`` sends them, ``report`` holds what was measured. Nothing is imported here, so that
the command line starts fast.
"""
