"""Numbers about images, each with the n and protocol it was measured by."""
