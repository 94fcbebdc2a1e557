"""Which provider a model name leads to."""
