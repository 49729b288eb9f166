"""Download data sets: resumed, verified, unpacked safely."""
