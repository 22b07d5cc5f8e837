"""Chips to batches: datasets, transforms and the DataBunch."""
