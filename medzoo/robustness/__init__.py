"""A trained model under stress: damaged images, and images without the organ."""
