"""What keeps answers coming while providers fail: outcomes, circuit breakers, retries, fallbacks."""
