"""Whether what is built works where it is installed, and nothing else is."""
