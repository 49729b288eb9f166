"""Downloading data sets: resumed, verified, unpacked safely."""
