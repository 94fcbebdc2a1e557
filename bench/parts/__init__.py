"""What the measurements are made of: processes and what they cost, loads, statistics, recorded results."""
