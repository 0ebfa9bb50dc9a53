"""How good trained stages are, in figures with their uncertainty: a measure a file."""
