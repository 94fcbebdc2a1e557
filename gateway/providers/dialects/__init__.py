"""APIs that clients speak beside chat completions, each put to a provider as chat completions."""
