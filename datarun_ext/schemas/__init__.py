"""What travels over the wire: the bodies that clients send and receive."""
