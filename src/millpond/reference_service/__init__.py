"""A customer service for the local platform and for tests: it keeps counts, and fails on demand."""
