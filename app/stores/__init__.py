"""What the service keeps in Postgres: a store for each who asks, and the rules that they share."""
