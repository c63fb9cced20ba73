"""My loop carries a state along, and the derivative with respect to the constant in it is too small.

"I simulate cooling with a `for` loop in torch and want d(end)/d(rate). Somebody told me to detach the state so that the
graph does not grow. My colleagues do the same with lax.scan and tf.while_loop, and get other derivatives."
"""

import jax
import numpy as np
import tensorflow as tf

import xcheck

STEPS, DT, OUTSIDE = 20, 0.1, 15.0


def detached(rate, start):
    """Simulate in torch."""
    state = start
    for _ in range(STEPS):
        state = state.detach()
        state = state + DT * rate * (OUTSIDE - state)
    return state


def scanned(rate, start):
    """Simulate in JAX."""
    return jax.lax.scan(lambda s, _: (s + DT * rate * (OUTSIDE - s), None), start, length=STEPS)[0]


def looped(rate, start):
    """Simulate in TensorFlow."""
    return tf.while_loop(
        lambda k, _: k < STEPS, lambda k, s: (k + 1, s + DT * rate * (OUTSIDE - s)), (tf.constant(0), start)
    )[1]


rate, start = np.array(0.7), np.array(90.0)
print(xcheck.crosscheck({"torch": detached, "jax": scanned, "tensorflow": looped}, rate, start, raises=False))
# > crosscheck, float64: DISAGREE
# >   implementation  by itself  with torch        with jax            with tensorflow
# >   torch           disagree   -                 wrong               wrong
# >                                                value 15 digits     value same
# >                                                gradient differs    gradient differs
# >   jax             agree      wrong             -                   agree
# >                              value 15 digits                       value 15 digits
# >                              gradient differs                      gradient 15 digits
# >   tensorflow      agree      wrong             agree               -
# >                              value same        value 15 digits
# >                              gradient differs  gradient 15 digits
# >   torch is wrong and stands alone: d out / d rate is -37.7805 by jax and tensorflow, -1.88902 by torch; finite differences of torch's own values give -37.7805 ± 2e-08. So at 1 more. Cause: rate: the claim is 1/20 times the derivative. Cause: start: the claim is zero throughout, and the function depends on it; it is cut off (detach, stop_gradient, .numpy(), a constant copy), or the rule leaves it out.
# >   at        rate = 0.7, start = 90; other points may differ
# >   cost      1818 evaluations, 4.6 s

# What it means: all three reach the same temperature, so that nothing looks wrong. But the rate acts in every step, and
# what it does in one step reaches the end through all later states. `detach` cuts that path, and the last step alone
# counts: 1/20 of the derivative, one step of 20, and nothing left of the start.


def carried(rate, start):
    """Simulate in torch."""
    state = start
    for _ in range(STEPS):
        state = state + DT * rate * (OUTSIDE - state)
    return state


print(xcheck.crosscheck({"torch": carried, "jax": scanned, "tensorflow": looped}, rate, start))
# > crosscheck, float64: AGREE
# >   implementation  by itself  with torch          with jax            with tensorflow
# >   torch           agree      -                   agree               agree
# >                                                  value 15 digits     value same
# >                                                  gradient 15 digits  gradient same
# >   jax             agree      agree               -                   agree
# >                              value 15 digits                         value 15 digits
# >                              gradient 15 digits                      gradient 15 digits
# >   tensorflow      agree      agree               agree               -
# >                              value same          value 15 digits
# >                              gradient same       gradient 15 digits
# >   All agree, with each other and with finite differences of their own values.
# >   at        rate = 0.7, start = 90; other points may differ
# >   cost      54 evaluations, 2.8 s
