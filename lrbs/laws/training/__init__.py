"""Many steps of training: scaling rules, clouds of runs, schedules, clock time."""
