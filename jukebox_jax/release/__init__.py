"""The 2020 release's checkpoints, read without the power to run code."""
