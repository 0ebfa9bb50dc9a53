"""Codes to the next code."""
