"""Which images of a data set a weight has seen in pretraining: content hashes, their search, the audit."""
