"""What the master does, one service a concern; handlers call these and nothing below them."""
