"""The board twin: the emitted engine, compiled by g++, behind the services of a board."""
