"""Interactions counted hour by hour: what Kafka has, which offsets an hour is, what it comes to."""
