"""The providers' side: the HTTP/1.1 client protocol, connection pools, and how connections are made."""
