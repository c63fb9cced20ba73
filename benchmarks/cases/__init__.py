"""What the scoreboard judges checkers by: wrong derivatives, right ones, planted errors, the frameworks' operators."""
