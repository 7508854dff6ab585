"""The embedded model: its weights, where they are kept, and the server that answers with them."""
