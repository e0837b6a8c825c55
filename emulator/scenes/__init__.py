"""Scenes: public collections that the emulator serves from folders, real or synthetic."""
