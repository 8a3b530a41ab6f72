"""The parts of `make bench`: each measures one thing and keeps it as JSON; `page` puts them together."""
