"""What the functions do, and what they need for it."""
