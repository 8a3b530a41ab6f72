"""What measures this repository and writes its pages in docs/: `make bench`, `make results`, `make bench-methods`,
`make comparison`. It is no part of the package that pip installs."""
