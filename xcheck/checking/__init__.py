"""The parts of a check: derivatives by hand, a framework's own, second derivatives, and what is said of them."""
