"""What should happen: pure plans, answers and verdicts."""
