"""What a state-space model is, and the models of the library."""
