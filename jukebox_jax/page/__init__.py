"""Pages to listen to and look at: what a folder holds, as one file that needs nothing else."""
