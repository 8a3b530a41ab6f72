"""`make bench-methods`: docs/compression.md, every compression method from the same baseline on the same data."""
