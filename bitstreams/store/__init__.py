"""The store of bitstreams, each with its record, and the ways into it."""
