"""The CPU edition: export, quantise, and the encoder component that runs without torch."""
