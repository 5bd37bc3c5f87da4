"""Which number folds a key into what: those of the steps of learning count from zero, all others are beyond them."""

# of the key of a fit
HELD_OUT, SEEDS, DRAWS, START, SPLIT = (2**31 - number for number in range(1, 6))
# of the key of a step, whose sequences have theirs by splitting
WEIGHTS, HIDING = (2**31 - number for number in range(1, 3))
# of the key of a sequence
TWIST = 2**31 - 1
