"""Files that assets are made of."""
