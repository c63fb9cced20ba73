"""The independent witness: measures derivatives by differences of the function's own values.

It starts with two step sizes in every direction, in one batched call, and adds levels where an entry needs them:
coarser ones against noise, finer ones against truncation.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from dataclasses import replace

import numpy as np

from xcheck.problem import Problem
from xcheck.protocol import RealArray
from xcheck.reference.estimate import LEAST_FLAT, Estimate, read, read_still
from xcheck.reference.far import far_at_once, hidden_slopes, largest_values, leaves_gradually
from xcheck.reference.grid import SPACING, Coordinates, Directions, Grid, Rows, allowed_levels, complex_partners
from xcheck.reference.noise import line_points, noise_line, rounding_floor, short_line
from xcheck.reference.sampler import Sampler, Samples
from xcheck.reference.status import Status
from xcheck.reference.windows import Ladder, Mask, Rules
from xcheck.space import LONG

ALPHA = 1e-6
"""Chance of one bar in a whole check being too small because of noise."""

FEW = 4
"""Up to this many directions the noise is first measured on half of the points."""

SATURATED = 32
"""At most this many directions are asked whether values come to a constant gradually; they stand for the others."""

ROUNDS = 6
PAIRS = 2**20
"""Values in one pass over a ladder, which bounds its memory."""


class Witness:
    """Finite differences of one problem along a set of directions; arrays are (directions, outputs).

    Attributes:
        source: what the reference is called.
        sampler: the values.
        row_scale: the largest trusted derivative of every output, shape (m,), normalised.
        slope_scale: the same per unit of the inputs instead of per scale of each, shape (m,).
        stepped: whether the values are known to move in steps, which are taken for noise.
        ceiling: bars wider than this are not resolved, shape (d, m), normalised; None for no such limit.
        z: the quantile that bars cover, which grows with the logarithm of the number of entries.
    """

    def __init__(
        self,
        problem: Problem,
        directions: Directions | None = None,
        seed: int = 0,
        project: RealArray | None = None,
        entries: int | None = None,
        noise: RealArray | None = None,
    ) -> None:
        """Evaluate the first two levels in every direction.

        Args:
            problem: the function.
            directions: where to go; along the coordinates if None.
            seed: chooses the steps.
            project: replace the outputs by `outputs @ project`, shape (m, r).
            entries: how many entries the whole check compares.
            noise: the outputs' noise in user units, where it is known.
        """
        directions = Coordinates(problem) if directions is None else directions
        self.problem = problem
        self.source = problem.how
        self.project = project
        self.entries = entries or max(1, directions.count * (problem.m if project is None else project.shape[1]))
        self.directions = directions
        self.grid = Grid(problem.precision, seed, problem.value_bits)
        line = None if noise is not None else line_points(problem, self.grid, short=directions.count <= FEW)
        self.sampler = Sampler(
            problem, directions, self.grid, project, line, far_at_once(problem, directions, self.grid)
        )
        self.row_scale = np.zeros(self.sampler.m)
        self.slope_scale = np.zeros(self.sampler.m)
        self._partner = complex_partners(problem) if project is None else np.arange(self.sampler.m)
        self.z = _quantile(self.entries)
        self._given = noise
        self._noise = None if noise is None else noise / self.sampler.size
        self._begun = False
        self.stepped = False
        self.ceiling: RealArray | None = None
        self._behind: RealArray | None = None
        self._hidden: RealArray | None = None
        self._constant = np.zeros(0, bool)
        self._known_gradual: dict[int | None, Mask] = {}
        self._known_levels: dict[tuple[float, bool, frozenset[int]], tuple[int, ...]] = {}

    def fresh(self, rows: Rows) -> Witness:
        """Return a witness on some of the directions whose every point is another."""
        directions, seed = self.directions.subset(rows), self.grid.seed + 1
        other = Witness(self.problem, directions, seed, self.project, self.entries, self._given)
        other.stepped = self.stepped
        return other

    def with_steps(self, rows: Rows, heights: RealArray) -> Witness:
        """Return a fresh witness on some of the directions that takes steps of such heights, (m,), for noise."""
        noise = np.maximum(self.noise(), heights) * self.sampler.size
        other = Witness(
            self.problem, self.directions.subset(rows), self.grid.seed + 3, self.project, self.entries, noise
        )
        other.stepped = True
        return other

    def as_it_is(self) -> Witness:
        """Return a copy that shares all values and stays as it is while this one learns more."""
        return copy.copy(self)

    def projected(self, project: RealArray, entries: int) -> Witness:
        """Return a witness on the outputs times `project`, shape (m, r), which knows every value of this one."""
        other = copy.copy(self)
        other.project, other.entries = project, entries
        other.sampler = self.sampler.projected(project)
        size = other.sampler.m
        other.row_scale, other.slope_scale, other._partner = np.zeros(size), np.zeros(size), np.arange(size)
        other.z = _quantile(entries)
        other._noise, other._begun, other.ceiling, other._behind = None, False, None, None
        return other

    @property
    def units(self) -> RealArray:
        """What one normalised derivative is in user units, shape (d, m)."""
        return np.asarray(self.sampler.size / self.directions.scale[:, None])

    @property
    def target(self) -> float:
        """The relative bar at which an entry counts as resolved."""
        return float(2 * self.grid.unit**0.4)

    def noise(self) -> RealArray:
        """Every output's noise as measured near the point and from run to run, shape (m,), normalised.

        Few directions begin with half of the points, so that a right claim costs little; `measure_noise` adds the rest.
        """
        if self._noise is None and self.directions.count > FEW:
            self.measure_noise()
        if self._noise is None:
            self._noise, self._begun = np.maximum(short_line(self.sampler), self.sampler.spread), True
        return self._noise

    def measure_noise(self) -> bool:
        """Measure the noise on all points; returns whether that is news."""
        if self._noise is not None and not self._begun:
            return False
        self._noise, self._begun = np.maximum(noise_line(self.sampler), self.sampler.spread), False
        return True

    def raise_scale(self, sizes: RealArray, slopes: RealArray) -> None:
        """Let trusted derivatives raise `row_scale` to `sizes` and `slope_scale` to `slopes`, shape (m,) each."""
        ratio = self.sampler.size[self._partner] / self.sampler.size
        self.row_scale = np.maximum(self.row_scale, np.maximum(sizes, sizes[self._partner] * ratio))
        self.slope_scale = np.maximum(self.slope_scale, np.maximum(slopes, slopes[self._partner] * ratio))

    def value_scale(self) -> RealArray:
        """Return the outputs' sizes, complex ones as a whole, shape (m,), normalised."""
        value = self.sampler.magnitude
        return np.asarray(
            np.maximum(value, value[self._partner] * self.sampler.size[self._partner] / self.sampler.size)
        )

    def size_beside(self, rows: Rows | slice) -> RealArray:
        """Return the size that entries near zero are resolved relative to, shape (r, m), normalised.

        That is the largest slope of the same output: by the inputs' scales or per unit, whichever is less, so that a
        slope along a tiny input counts beside large ones.
        """
        scale = self.directions.scale[rows, None]
        return np.asarray(np.minimum(self.row_scale, self.slope_scale * scale))

    def measure(self, rows: Rows, wanted: Mask, groups: tuple[int, ...] = (0,), rounds: int = ROUNDS) -> Estimate:
        """Measure the wanted entries, adding levels until they are resolved or nothing helps.

        Args:
            rows: directions, r of them.
            wanted: which of their entries, shape (r, m).
            groups: the level groups to begin with.
            rounds: how many times levels may be added.

        Returns:
            Normalised estimates, shape (r, m); unknown where not wanted.
        """
        self.measure_noise()
        result = Estimate.unknown(wanted.shape)
        finite = np.isfinite(self.sampler.center)
        result.status[:, ~finite] = Status.NONFINITE
        open_ = wanted & finite
        plan = {i: set(groups) for i in np.flatnonzero(np.any(open_, axis=1)).tolist()}
        still = np.flatnonzero(self._still(rows, open_))
        for i, leap in zip(
            still.tolist(), self._leaps(rows[still], max(groups), np.full(len(still), np.inf)), strict=True
        ):
            plan[i] |= {max(groups) + leap, max(groups) + max(1, leap - 1)}  # flat so far: look all the way at once
        for _ in range(rounds):
            for levels, places in self._by_levels(rows, plan).items():
                self._measure_rows(levels, rows, places, open_, result)
            trusted = np.where(open_ & (result.status <= Status.FLAT), np.abs(result.value), 0.0)
            per_unit = trusted / self.directions.scale[rows, None]
            self.raise_scale(np.max(trusted, axis=0, initial=0.0), np.max(per_unit, axis=0, initial=0.0))
            size = np.fmax(np.abs(result.value), self.size_beside(rows))
            open_ &= ~self._resolved(rows, result, size)
            grown = self._grow(rows, plan, open_, result, size)
            plan = {
                i: more for i, more in grown.items() if self._levels(rows[i], more) != self._levels(rows[i], plan[i])
            }
            if not plan:
                break
        self._mark_random(rows, wanted, result)
        return result

    def ignores(self, rows: Rows) -> bool:
        """Tell whether no value evaluated along these directions differs from the one at the point.

        Where values move in the steps of rounding farther off, nothing is said.
        """
        if self._hidden is not None and np.any(self._hidden > 0):
            return False
        if any(np.any(gradual) for gradual in self._known_gradual.values()):
            return False
        coarse, _, fine = self.grid.group(0)
        for part in (rows[:1], rows):  # most functions answer at the first direction
            samples = self.sampler.take((coarse, fine), part)
            if not (np.all(samples.above == samples.center) and np.all(samples.below == samples.center)):
                return False
        return True

    def groups_known(self, rows: Rows) -> tuple[int, ...]:
        """Return the groups of which levels have been evaluated along any of the directions."""
        first, size = self.grid.group(0)[0], 3 * SPACING[self.grid.precision]
        levels = {level for row in rows for level in self.levels_known(int(row))}
        return tuple(sorted({-((level - first) // size) for level in levels}))

    def levels_known(self, row: int) -> tuple[int, ...]:
        """Return the levels that have been evaluated along a direction."""
        return self.sampler.levels_known(row)

    def reachable(self, levels: tuple[int, ...], row: int) -> tuple[int, ...]:
        """Return those of the levels whose steps stay in the neighbourhood of the inputs along a direction."""
        return allowed_levels(self.grid, self.directions, np.intp(row), levels)

    def behind(self) -> RealArray:
        """Return the size of the numbers that the outputs may be computed from, shape (m,), normalised.

        That is the largest value seen towards the origin, and 1 in user units at least: near zero, what is inside
        `x * (exp(1e-9 * x) - 1)` is rounded at the size of the exponential. Costs 2 evaluations, once.
        """
        if self._behind is None:
            sampler, far = self.sampler, largest_values(self.problem)
            if self.project is not None:
                far = np.sqrt(far**2 @ self.project**2)
            self._behind = np.maximum(sampler.inner, np.maximum(far, 1.0) / sampler.size)
        return self._behind

    def ladder(self, levels: tuple[int, ...], rows: Rows, keep: Mask, behind: bool = False) -> tuple[Ladder, RealArray]:
        """Build the quotients of the kept pairs `(rows, outputs)` and the rounding part of their noise.

        What numbers are behind the outputs is asked where something has not moved, and where `behind` says so.
        """
        samples = self.sampler.take(levels, rows)
        ladder, floor = _quotients(samples, self.noise(), self.grid, keep, self.sampler, self.value_scale())
        if behind or np.any(ladder.flat[-1]):
            _, output = np.nonzero(keep)
            inner = self.behind()[output] * (self.grid.value_unit / self.grid.unit)
            ladder = replace(ladder, inner=inner)
        return ladder, floor

    def rules(self, floor: RealArray) -> Rules:
        """Return the rules for windows."""
        return Rules(self.z, self.grid.unit, self.grid.finest, floor, 2.0**self.grid.group_bits)

    def _measure_rows(self, levels: tuple[int, ...], rows: Rows, places: Rows, open_: Mask, result: Estimate) -> None:
        step = max(1, PAIRS // max(1, len(levels) * self.sampler.m))
        self.sampler.ensure(levels, rows[places])
        for start in range(0, len(places), step):
            part = places[start : start + step]
            keep = open_[part]
            if not np.any(keep):
                continue
            samples = self.sampler.take(levels, rows[part])
            still = keep & _stands_still(samples)
            some = bool(still.any())
            if some:
                row, output = np.nonzero(still)
                found = self._read_still(samples, row, output)
                self._doubt_flat(found, rows[part[row]], output)
                result.put((part[row], output), found)
                keep = keep & ~still
            if keep.any():
                ladder, floor = self.ladder(levels, rows[part], keep, behind=some)
                found = read(ladder, self.rules(floor))
                row, output = np.nonzero(keep)
                self._doubt_flat(found, rows[part[row]], output)
                result.put((part[row], output), found)

    def _read_still(self, samples: Samples, row: Rows, output: Rows) -> Estimate:
        """Read entries that have not moved at any level of the samples."""
        quantum = self.grid.value_unit * self.behind()
        still = np.abs(samples.center)
        floor = rounding_floor(self.grid, self.value_scale(), still, still, np.zeros(1))
        rules = self.rules(floor)
        found = read_still((samples.plus + samples.minus) / 2, samples.reach, row, quantum[output], rules)
        found.noisy = (self.noise() > 64 * floor)[output]
        return found

    def hides(self) -> Mask:
        """Tell for which outputs the rounding of inner values may hide slopes, shape (m,).

        Costs up to 216 evaluations, once.
        """
        if self.project is not None or not isinstance(self.directions, Coordinates):
            return np.zeros(self.sampler.m, bool)
        if self._hidden is None:
            slopes, self._constant = hidden_slopes(self.problem)
            self._hidden = slopes / self.sampler.size
        return np.asarray(self._hidden > 0)

    def hidden(self, rows: Rows, outputs: Rows) -> RealArray:
        """Return what slopes it may hide in entries that do not move, normalised, shape (r,)."""
        if not self.hides().any() or self._hidden is None or not isinstance(self.directions, Coordinates):
            return np.zeros(len(rows))
        offset = self.directions.offset[rows]
        return np.asarray(self._hidden[outputs] / np.where(offset > 0, offset, 0.5))

    def _doubt_flat(self, found: Estimate, rows: Rows, outputs: Rows) -> None:
        """Call flat entries saturated where values move in the steps of rounding farther off, but not only in those."""
        flat = np.flatnonzero(found.status == Status.FLAT)
        if not len(flat):
            return
        found.status[flat[self._saturates(rows[flat], outputs[flat])]] = Status.SATURATED
        if not self.hides().any():
            return
        hidden = self.hidden(rows[flat], outputs[flat])
        found.bar[flat] = np.maximum(found.bar[flat], hidden)
        found.noise[flat] = np.maximum(found.noise[flat], hidden)
        found.status[flat[(hidden > 0) & ~self._constant[outputs[flat]]]] = Status.SATURATED

    def _saturates(self, rows: Rows, outputs: Rows) -> Mask:
        """Tell which flat entries, of outputs that have shown no slope at all, come to their value gradually.

        Costs 40 evaluations where there are any, and as many again for every direction in which one does.
        """
        result, problem = np.zeros(len(rows), bool), self.problem
        plain = isinstance(self.directions, Coordinates) and self.project is None
        still = (self.row_scale[outputs] == 0) & (problem.y[outputs] != 0) if plain else result
        if not np.any(still) or problem.n >= LONG or problem.precision < 24:
            return result
        still &= self._gradual(None)[outputs]
        for row in np.unique(rows[still])[:SATURATED]:
            here = still & (rows == row)
            result[here] = self._gradual(int(row))[outputs[here]]
        return result

    def _gradual(self, row: int | None) -> Mask:
        """Tell which outputs leave their value gradually as one input moves, or all of them; asked once."""
        if row not in self._known_gradual:
            moved = np.ones(self.problem.n, bool)
            if row is not None and isinstance(self.directions, Coordinates):
                moved = np.arange(self.problem.n) == self.directions.index[row]
            self._known_gradual[row] = leaves_gradually(self.problem, moved)
        return self._known_gradual[row]

    def _still(self, rows: Rows, open_: Mask) -> Mask:
        """Tell along which directions no wanted value has moved at the steps that are known from the beginning."""
        coarse, _, fine = self.grid.group(0)
        still = np.any(open_, axis=1)
        step = max(1, PAIRS // max(1, self.sampler.m))
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            samples = self.sampler.take((coarse, fine), rows[part])
            moved = np.any((samples.above != samples.center) | (samples.below != samples.center), axis=0)
            still[part] &= ~np.any(moved & open_[part], axis=1)
        return np.asarray(still)

    def _resolved(self, rows: Rows, result: Estimate, size: RealArray) -> Mask:
        sharp = (result.status <= Status.FLAT) & (result.bar <= self._wanted(rows, size))
        return np.asarray(sharp | (result.status == Status.FLAT))

    def _grow(
        self, rows: Rows, plan: dict[int, set[int]], open_: Mask, result: Estimate, size: RealArray
    ) -> dict[int, set[int]]:
        """Add coarser levels against noise, at once as far as the bar asks for, and finer ones against truncation.

        Directions that have tried the same groups are looked at together.
        """
        alike: dict[frozenset[int], list[int]] = defaultdict(list)
        for place, tried in plan.items():
            alike[frozenset(tried)].append(place)
        grown: dict[int, set[int]] = {}
        for groups, members in alike.items():
            places = np.array(members, dtype=np.intp)
            coarser, finer, leaps = self._wants(rows[places], open_[places], result.at(places), size[places], groups)
            for place, coarse, fine, leap in zip(members, coarser, finer, leaps, strict=True):
                grown[place] = set(groups)
                if coarse:
                    grown[place] |= {max(groups) + leap, max(groups) + max(1, leap - 1)}
                if fine:
                    grown[place].add(min(groups) - 1)
        return {place: grown[place] for place in plan}

    def _wants(
        self, rows: Rows, open_: Mask, found: Estimate, size: RealArray, groups: frozenset[int]
    ) -> tuple[list[bool], list[bool], list[int]]:
        """Tell which directions want coarser and finer levels, and how many groups coarser."""
        known, saturated = found.status <= Status.FLAT, found.status == Status.SATURATED
        noisy = saturated | (known & (found.noise > 0.3 * found.bar))
        edge = found.status == Status.EDGE  # if it is one, the finest steps cross it as well
        coarser = np.any(open_ & (noisy | ~known) & ~edge, axis=1)
        wanted = self._wanted(rows, size)
        excess = np.max(found.bar / wanted, axis=1, initial=1.0, where=open_ & noisy & known & (wanted > 0))
        excess[np.any(open_ & saturated, axis=1)] = np.inf
        finer = np.any(open_ & ~noisy, axis=1)
        return coarser.tolist(), finer.tolist(), self._leaps(rows, max(groups), excess)

    def _wanted(self, rows: Rows, size: RealArray) -> RealArray:
        wanted = self.target * size
        return wanted if self.ceiling is None else np.minimum(wanted, self.ceiling[rows] / 4)

    def _leaps(self, rows: Rows, coarsest: int, excess: RealArray) -> list[int]:
        """Return how many groups coarser to go: a bar made of noise shrinks as the step grows; flat is all the way."""
        first, bits = self.grid.group(0)[0], self.grid.group_bits
        reach = ((first + np.log2(self.directions.reach[rows])) / bits).astype(int)
        far = np.isfinite(excess)
        wanted = np.where(far, np.log2(np.maximum(1.0, np.where(far, excess, 1.0))) / bits, reach).astype(int)
        return np.maximum(1, np.minimum(wanted, reach - coarsest)).tolist()  # type: ignore[no-any-return]

    def _levels(self, row: np.intp, groups: set[int]) -> tuple[int, ...]:
        key = float(self.directions.reach[row]), bool(self.directions.offset[row] == 0), frozenset(groups)
        if key not in self._known_levels:
            levels = (e for q in groups for e in self.grid.group(q))
            self._known_levels[key] = allowed_levels(self.grid, self.directions, row, levels)
        return self._known_levels[key]

    def _by_levels(self, rows: Rows, plan: dict[int, set[int]]) -> dict[tuple[int, ...], Rows]:
        groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for place, tried in plan.items():
            groups[self._levels(rows[place], tried)].append(place)
        return {levels: np.array(places, dtype=np.intp) for levels, places in groups.items()}

    def _mark_random(self, rows: Rows, wanted: Mask, result: Estimate) -> None:
        if self.sampler.repeatable:
            return
        poor = ~(result.bar <= 0.1 * np.fmax(np.abs(result.value), self.size_beside(rows)))
        random = wanted & poor & (self.sampler.spread > 0)
        result.status[random] = Status.NONDETERMINISTIC


def _quantile(entries: int) -> float:
    return float(np.sqrt(2 * np.log(2 * entries / ALPHA)))


def _stands_still(samples: Samples) -> Mask:
    """Tell which values have not moved at any of the levels, if those are enough to tell, shape (r, m)."""
    still = np.full(samples.above.shape[1:], len(samples.levels) >= LEAST_FLAT)
    for values in (*samples.above, *samples.below):
        still &= values == samples.center
    return still


def _quotients(
    samples: Samples, noise: RealArray, grid: Grid, keep: Mask, sampler: Sampler, scale: RealArray
) -> tuple[Ladder, RealArray]:
    row, output = np.nonzero(keep)
    center = samples.center[output]
    plus, minus = samples.plus[:, row], samples.minus[:, row]
    places, shape = row * keep.shape[1] + output, (len(samples.levels), keep.size)
    above, below = (np.take(side.reshape(shape), places, axis=1) for side in (samples.above, samples.below))
    with np.errstate(invalid="ignore", over="ignore"):
        up, down = above - center, center - below
        central = (above - below) / (plus + minus)
        even = up - down - central * (plus - minus)
        floor = rounding_floor(grid, scale[output], above, below, samples.offset[row] * np.abs(central))
        floor = np.where(np.isfinite(floor), floor, 0.0)
        size = sampler.magnitude[output]
        growth = np.fmax(np.abs(above), np.abs(below)) / np.maximum(size, np.finfo(np.float64).tiny)
        growth = np.clip(np.where(np.isfinite(growth), growth, 1.0), 1.0, 16.0)
        sigma = np.maximum(floor, noise[output] * growth)
        right, left = up / plus, down / minus
    inner = size * (grid.value_unit / grid.unit)
    ladder = Ladder(
        np.array(samples.levels), plus, minus, up, down, central, even, right, left, sigma, inner, samples.reach[row]
    )
    return ladder, floor
