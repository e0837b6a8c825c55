"""Plain Python: images, exports and their legal transitions, runs, outputs."""
