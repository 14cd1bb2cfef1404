"""Protocols on a WebSocket, without any: what a client says in, what is to be done and said out."""
