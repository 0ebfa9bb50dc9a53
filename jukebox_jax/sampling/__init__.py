"""Codes above to codes to sound."""
