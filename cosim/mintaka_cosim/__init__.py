"""Where both sides meet: co-simulation, reports and the command line."""
