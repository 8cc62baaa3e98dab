"""Fixtures that tests of the command line share."""

from built_projects import archive, emitted, project, vendor

__all__ = ["archive", "emitted", "project", "vendor"]
