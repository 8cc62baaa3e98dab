"""The foundation that all four packages share: errors, files, records and locks."""
