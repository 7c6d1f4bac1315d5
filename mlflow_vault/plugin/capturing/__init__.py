"""What is captured without being asked: of runs, datasets, models, and the machine."""
