"""The function's values at the point and at displaced points, evaluated once and kept.

Everything downstream works in normalised units: outputs divided by a power of two near their size, displacements by
the direction's scale. Both divisions are exact; they keep products and quotients away from overflow and make every
threshold a pure number.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from xcheck.problem import CHUNK, Problem
from xcheck.protocol import RealArray
from xcheck.reference.grid import Directions, Grid, Probes, Rows

NOTHING = np.empty((0, 0))

SMALL = 2**15
"""Up to this many values at every level the base levels of all directions are kept as they are read."""

Job = tuple[int, Rows, RealArray, RealArray, bool]
"""A level, directions, the places to go to, the displacements, and whether they lead ahead."""


@dataclass(frozen=True)
class Samples:
    """Normalised values at levels e (coarse to fine) along directions, both sides.

    Attributes:
        levels: the levels, L of them.
        plus, minus: displacements t+ and t-, positive, shape (L, d).
        above, below: values f(x + t+) and f(x - t-), shape (L, d, m).
        center: f(x), shape (m,).
        offset: |x_j| / s_j, shape (d,).
        reach: the largest steps that are allowed, shape (d,).
    """

    levels: tuple[int, ...]
    plus: RealArray
    minus: RealArray
    above: RealArray
    below: RealArray
    center: RealArray
    offset: RealArray
    reach: RealArray

    def at(self, rows: Rows) -> Samples:
        """Select directions."""
        plus, minus, above, below = (array[:, rows] for array in (self.plus, self.minus, self.above, self.below))
        return Samples(self.levels, plus, minus, above, below, self.center, self.offset[rows], self.reach[rows])

    def finest(self) -> Samples:
        """Leave all levels but the last one out."""
        plus, minus, above, below = (array[-1:] for array in (self.plus, self.minus, self.above, self.below))
        return Samples(self.levels[-1:], plus, minus, above, below, self.center, self.offset, self.reach)


@dataclass
class _Level:
    place: Rows
    plus: list[RealArray] = field(default_factory=list)
    minus: list[RealArray] = field(default_factory=list)
    above: list[RealArray] = field(default_factory=list)
    below: list[RealArray] = field(default_factory=list)
    count: int = 0

    def projected(self, project: RealArray) -> _Level:
        """Project all values; displacements stay."""
        above, below = ([values @ project for values in side] for side in (self.above, self.below))
        return _Level(self.place.copy(), list(self.plus), list(self.minus), above, below, self.count)

    def merged(self, values: list[RealArray]) -> RealArray:
        if len(values) > 1:
            values[:] = [np.concatenate(values)]
        return values[0]


class Sampler:
    """Evaluates displaced points of a problem in as few batched calls as possible, and remembers the values.

    Attributes:
        center: f(x) as this sampler's first batch computed it, shape (m,), in user units.
        spread: run-to-run standard deviation of f(x), zero for deterministic functions, shape (m,), normalised.
        size: the power of two near every output's magnitude, shape (m,).
        line: values beside the point that show the noise, not projected, shape (m of the problem,) each.
        far: values at the far points, not projected, shape (k, m of the problem); None where they were left out.
        far_points: the far points, shape (k, n); None where they were left out.
        magnitude: |f(x)|, 0 where it is not finite, shape (m,), normalised. A problem in higher precision has
            differences from f(x) for values, so that its center is 0 and its magnitude is not.
        inner: the size of the numbers behind every output, |f(x)| unless the problem knows better, shape (m,),
            normalised.
    """

    def __init__(
        self,
        problem: Problem,
        directions: Directions,
        grid: Grid,
        project: RealArray | None = None,
        line: RealArray | None = None,
        far: RealArray | None = None,
    ) -> None:
        """Evaluate the base levels' two outer members in every direction, the point once more, the line and far points.

        Args:
            problem: the function.
            directions: where to go.
            grid: how far.
            project: replace the outputs by `outputs @ project`, shape (m, r).
            line: points to begin the line with, shape (k, n); they are evaluated now if one batch holds everything.
            far: points farther off; they are evaluated now if one batch holds everything and the function allows
                batches.
        """
        self.problem = problem
        self.directions = directions
        self.grid = grid
        self.project = project
        self.m = problem.m if project is None else project.shape[1]
        self._levels: dict[int, _Level] = {}
        self._centers: list[RealArray] = []
        self.size = np.ones(self.m)
        coarse, _, fine = grid.group(0)
        everything = self._all = np.arange(directions.count)
        self.line: list[RealArray] = []
        self.far: RealArray | None = None
        self.far_points = far
        beside = [NOTHING if points is None else points for points in (line, far)]
        self._evaluate([(coarse, everything), (fine, everything)], 1, *beside)
        self._settle()

    def _settle(self) -> None:
        """Choose the units, and see whether the point's value repeats."""
        self.center = self._centers[0]
        self.size = self._choose_size(self.grid.group(0)[2])
        value = np.abs(self._value() if self.problem.relative else self.center)
        self.magnitude = np.where(np.isfinite(value), value, 0.0) / self.size
        self.inner = self._inner()
        self.repeatable = self._is_repeatable()
        self.spread = np.zeros(self.m) if self.repeatable else self._measure_spread()
        coarse, _, fine = self.grid.group(0)
        small = len(self._all) * self.m <= SMALL
        self._base: Samples | None = self._read((coarse, fine), self._all) if small else None

    def ensure(self, levels: Iterable[int], rows: Rows) -> None:
        """Evaluate what is missing of `levels` along `rows`, all of it in one go."""
        missing = []
        for level in levels:
            known = self._levels.get(level)
            if known is not None and known.count == self.directions.count:
                continue
            todo = rows if known is None else rows[known.place[rows] < 0]
            if len(todo):
                missing.append((level, todo))
        if missing:
            self._evaluate(missing)

    def levels_known(self, row: int) -> tuple[int, ...]:
        """Return the levels that have been evaluated along direction `row`, coarse to fine."""
        return tuple(sorted(e for e, level in self._levels.items() if level.place[row] >= 0))

    def take(self, levels: tuple[int, ...], rows: Rows) -> Samples:
        """Return the normalised values at `levels` along `rows`; evaluates what is missing."""
        if self._base is None:
            return self._read(levels, rows)
        if levels == self._base.levels:
            found = self._base
        elif levels == self._base.levels[-1:]:
            found = self._base.finest()
        else:
            return self._read(levels, rows)
        return found if len(rows) == len(self._all) and np.array_equal(rows, self._all) else found.at(rows)

    def _read(self, levels: tuple[int, ...], rows: Rows) -> Samples:
        self.ensure(levels, rows)
        found = [self._levels[e] for e in levels]
        index = [level.place[rows] for level in found]
        shrink = 1.0 / self.size
        return Samples(
            levels,
            np.array([x.merged(x.plus)[i] for x, i in zip(found, index, strict=True)]),
            np.array([x.merged(x.minus)[i] for x, i in zip(found, index, strict=True)]),
            np.array([x.merged(x.above)[i] for x, i in zip(found, index, strict=True)]) * shrink,
            np.array([x.merged(x.below)[i] for x, i in zip(found, index, strict=True)]) * shrink,
            self.center * shrink,
            self.directions.offset[rows],
            self.directions.reach[rows],
        )

    def projected(self, project: RealArray) -> Sampler:
        """Return a sampler of the outputs times `project`, shape (m, r), that knows every value of this one."""
        other = copy.copy(self)
        other.project, other.m = project, project.shape[1]
        other._levels = {e: level.projected(project) for e, level in self._levels.items()}
        other._centers = [center @ project for center in self._centers]
        other._settle()
        return other

    def seen(self, values: RealArray) -> RealArray:
        """Project outputs of the function, as this sampler does with all of them."""
        return values if self.project is None else values @ self.project

    def _outputs(self, points: RealArray) -> RealArray:
        return self.seen(self.problem.values(points))

    def _choose_size(self, fine: int) -> RealArray:
        level = self._levels[fine]
        size = np.abs(self.center)
        for values in (*level.above, *level.below):
            sizes = np.abs(values)
            finite = sizes < np.inf
            sizes = sizes if finite.all() else np.where(finite, sizes, 0.0)
            size = np.fmax(size, sizes.max(axis=0, initial=0.0))
        size = np.where(np.isfinite(size) & (size > 0), size, 1.0)
        return np.asarray(np.ldexp(1.0, np.frexp(size)[1].clip(-1000, 1000)))

    def _value(self) -> RealArray:
        """Return f(x) as it was first computed, shape (m,), in user units."""
        return self.seen(self.problem.y)

    def _is_repeatable(self) -> bool:
        """Compare two evaluations of the point; what a batch gives may differ from a single one in its rounding."""
        first = self._value() - self._value() if self.problem.relative else self._value()
        if np.array_equal(first, self.center, equal_nan=True):
            return True
        again = self._outputs(self.problem.x[None])[0]
        return np.array_equal(again, first, equal_nan=True) or np.array_equal(again, self.center, equal_nan=True)

    def _inner(self) -> RealArray:
        known = self.problem.inner
        if known is None:
            return self.magnitude
        known = known if self.project is None else np.sqrt(known**2 @ self.project**2)
        return np.asarray(np.maximum(self.magnitude, known / self.size))

    def _measure_spread(self) -> RealArray:
        self._centers += list(self._outputs(np.repeat(self.problem.x[None], 6, axis=0)))
        spread = np.asarray(np.std(np.array(self._centers) / self.size, axis=0))
        return 2 * np.where(np.isfinite(spread), spread, 0.0)

    def _evaluate(
        self, wanted: list[tuple[int, Rows]], centers: int = 0, line: RealArray = NOTHING, far: RealArray = NOTHING
    ) -> None:
        jobs = []
        for level, rows in wanted:
            plus, minus, ahead, behind = self.directions.steps(self.grid, level, rows)
            jobs += [(level, rows, plus, ahead, True), (level, rows, minus, behind, False)]
        beside = len(line) + len(far)
        total = centers + beside + sum(len(job[1]) for job in jobs)
        step = max(1, CHUNK // max(1, self.problem.n + self.problem.m))
        if total <= step:
            # These are neither first, where errors are read, nor last, where a batch is verified.
            cut = total - beside - len(jobs[-1][1])
            after = cut + len(line)
            points = np.empty((total, self.problem.n))
            points[:centers] = self.problem.x
            self._displace(points[centers:cut], jobs[:-1])
            if beside:
                points[cut : after + len(far)] = np.concatenate([part for part in (line, far) if len(part)])
            self._displace(points[cut + beside :], jobs[-1:])
            found = self.problem.values(points, slice(after, after + len(far)))
            values = self.seen(found)
            self._centers += list(values[:centers])
            self.line += list(found[cut:after])
            asked = found[after : after + len(far)]
            if len(far) and self.problem.batched and not np.all(np.isnan(asked)):  # spare points may be left out
                self.far = asked
            start = centers
            for job in jobs:
                start += beside if job is jobs[-1] else 0
                self._store(job, values[start : start + len(job[1])])
                start += len(job[1])
            return
        self._centers += [value for _ in range(centers) for value in self._center(step == 1)]
        for job in jobs:
            parts = []
            for i in range(0, len(job[1]), step):
                part = (job[0], job[1][i : i + step], job[2][i : i + step], job[3], job[4])
                parts.append(self._outputs_of(part, step == 1))
            self._store(job, np.concatenate(parts))

    def _center(self, long: bool) -> RealArray:
        x = self.problem.x
        return (
            self.seen(self.problem.value_of(lambda out, part: np.copyto(out, x[part])))
            if long
            else self._outputs(x[None])
        )

    def _outputs_of(self, job: Job, long: bool) -> RealArray:
        if not long or not isinstance(self.directions, Probes):
            return self._outputs(self._points(job))
        return self.seen(self.problem.value_of(self.directions.writer(int(job[1][0]), float(job[2][0]))))

    def _points(self, job: Job) -> RealArray:
        points = np.empty((len(job[1]), self.problem.n))
        self._displace(points, [job])
        return points

    def _displace(self, points: RealArray, jobs: list[Job]) -> None:
        start = 0
        for _, rows, places, _, _ in jobs:
            self.directions.write(points[start : start + len(rows)], rows, places)
            start += len(rows)

    def _store(self, job: Job, values: RealArray) -> None:
        level, rows, _, displacement, ahead = job
        if level not in self._levels:
            self._levels[level] = _Level(np.full(self.directions.count, -1))
        known = self._levels[level]
        (known.plus if ahead else known.minus).append(displacement)
        (known.above if ahead else known.below).append(values)
        if not ahead:  # both sides are there
            known.place[rows] = known.count + np.arange(len(rows))
            known.count += len(rows)
