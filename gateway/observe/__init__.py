"""What the gateway tells of itself: structured events."""
