"""Sound to codes and back."""
