"""What trained stages tell about sound: features of priors, and how good the codes are."""
