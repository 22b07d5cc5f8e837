"""One adversarial game a file: networks and two pure losses; and a game on disk."""
