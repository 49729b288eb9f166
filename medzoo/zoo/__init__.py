"""Pretrained weights as files: what exists, where it lies, and that it is what was published."""
