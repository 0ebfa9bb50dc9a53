"""Sound as arrays: files, songs, windows of them, and distances between sounds."""
