"""Grids, tiles, values, readers, writers and vector areas."""
