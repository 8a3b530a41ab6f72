"""`make bench-methods`: docs/studies/compression.md, every compression method on the same baseline and data."""
