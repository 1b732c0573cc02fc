"""Full load for a long time: what grows, leaks."""
