"""The data plane: one request's life between a client and the providers."""
