"""Ways to compute Jacobians: what each needs to hold, what it costs, and which is the fastest."""
