"""Learning from pseudo-labels: the memory, the losses and the trainers of the stages."""
