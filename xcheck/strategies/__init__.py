"""Ways to compute Jacobians: which products are taken, how they are made, and how the result is read off them."""
