"""The functions: one short file for each that is deployed."""
