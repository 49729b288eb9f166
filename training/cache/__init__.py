"""Decode data sets once into memory-mapped arrays."""
