"""HTTP and websocket handlers, one resource a file: from a request to a service and back."""
