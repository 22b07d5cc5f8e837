"""What an analyst holds: a DataBunch, a game, the trainer and the translator in one."""
