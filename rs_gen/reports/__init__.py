"""What is said about a raster, a model, a folder of chips, or this machine."""
