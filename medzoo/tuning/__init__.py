"""The parts of fine-tuning: what a run is made of, how it is measured, and when it ends."""
