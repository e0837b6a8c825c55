"""What the project keeps: assets, and the objects in its buckets."""
