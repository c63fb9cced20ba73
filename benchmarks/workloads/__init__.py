"""Functions whose Jacobians are made in every way there is, and what is measured of them."""
