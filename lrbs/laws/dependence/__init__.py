"""What happens when coordinates are no strangers, not equal, or not normal."""
