"""Operators, defaults and dates: the only library code that imports Airflow."""
