"""The demo shop: five services and a bank, each a FastAPI app in a module of its own."""
