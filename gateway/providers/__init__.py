"""Providers: where a request is sent, how it is addressed there, and what happens when that fails."""
