"""The verdure command."""
