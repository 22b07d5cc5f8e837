"""Networks as functions that lay bricks: shapes in, shapes out."""
