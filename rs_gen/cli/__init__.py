"""The command line, generated from tools.py."""
