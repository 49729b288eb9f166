"""The data sets that users bring, in their many forms, before images are decoded."""
