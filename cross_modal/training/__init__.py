"""Training: the loop, what a step reads, how weights move, and what is kept of it."""
