"""The scoreboard's parts: where the cases come from, the process they run in, the sums, the page and the picture."""
