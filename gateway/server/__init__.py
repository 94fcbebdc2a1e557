"""The client's side: sockets, the HTTP/1.1 server protocol, and how answers are written."""
