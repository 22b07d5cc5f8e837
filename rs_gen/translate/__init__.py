"""A trained generator and a raster to a GeoTIFF, exactly and in bounded memory."""
