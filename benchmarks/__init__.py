"""Ratios against named baselines, each measured in the same run: `make bench`."""
