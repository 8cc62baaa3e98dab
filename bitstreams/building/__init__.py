"""Running the vendor's tools on an emitted project, and reading the files that they leave."""
