"""The unit in which networks see an image."""

# A network's input is divided by three times the noise: its noise has a standard deviation of 1/3.
UNIT = 3.0
