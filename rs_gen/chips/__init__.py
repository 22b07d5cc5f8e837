"""Rasters to chips with their place on the ground, and back to lists of chips."""
