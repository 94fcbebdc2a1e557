"""Doubles of providers: servers that check requests and answer as the real APIs do, by a script."""
