"""Which provider a model name leads to; where it leads to several, which of them a request goes to."""
