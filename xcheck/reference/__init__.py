"""The independent witness: derivatives measured from the function's values alone, with trustworthy error bars."""
