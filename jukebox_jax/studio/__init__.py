"""A studio in the browser: ask for songs, hear them grow, choose, branch, upsample, go on later."""
