"""Where the figures of the README and of docs/results.md come from. Anyone can run these."""
