"""How signals leave: encoding, queues, delivery."""
