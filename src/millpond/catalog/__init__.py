"""What exists: datasets, analyses, tables, reason codes, settings. Standard library only."""
