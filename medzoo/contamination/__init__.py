"""Which images of a data set a network has seen in pretraining."""
