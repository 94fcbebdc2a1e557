"""A gateway that answers the OpenAI HTTP API, forwards to providers, and keeps answering when they fail."""

__version__ = "0.1.0"
