"""The kinds of hardware that a pair becomes, each a package behind one protocol."""
