"""Open-loop load: shoppers who arrive whether the shop keeps up or not."""
