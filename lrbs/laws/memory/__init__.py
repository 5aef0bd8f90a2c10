"""Rules that remember: averages over time, momentum, Adam, the update RMS."""
