"""Jukebox in JAX: sound becomes codes, codes are continued, codes become sound."""
