"""Rules that take signs, hard or soft: their averages, their learning rates, the surge."""
