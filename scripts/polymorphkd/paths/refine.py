"""A path made better by the generator: mutants of its points, and the search again.

A library spread over the whole landscape holds few frames near the best path, and every atom
of these is displaced at random, which costs energy.  So the points of the path are mutated by
smaller and smaller steps, what lies above the path's own maximum is dropped, and the lowest
maximum through the rest is searched; it cannot be higher than before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ..frames import Frames, concatenate, from_atoms
from ..generate import Context, make_targets, run_task
from ..landscape import points
from ..settings import Amplitudes, Constraints, Displacements, Generate, Landscape
from .profile import Profile, measure, trace
from .search import Reach, make_graph, minimax_path
from .surface import Surface


@dataclass(frozen=True)
class Refinement:
    """How a path is refined.

    Parameters
    ----------
    rounds : int
    mutants : int
        Tried in each round.
    displacement : float, Å
        Standard deviation of the displacements in the first round.
    strain : float
        Largest volume change, and standard deviation of the shape strain, in the first round.
    shrink : float
        Factor on both from round to round.
    reach : Reach
        Which frames are neighbours.  Its step has to be fine: what is higher between two
        points is not seen, and mutants find such gaps.
    """

    rounds: int = 20
    mutants: int = 2000
    displacement: float = 0.02
    strain: float = 0.02
    shrink: float = 0.9
    reach: Reach = field(default_factory=lambda: Reach(distance=0.5, step=0.03))

    def generate(self, number: int, constraints: Constraints) -> Generate:
        """Settings of the generator in round `number`, from 0."""
        factor = self.shrink**number
        return Generate(
            strategy="rattle",
            evaluations=self.mutants,
            displacements=Displacements(gaussian=1, wave=1),
            amplitudes=Amplitudes(
                displacement=self.displacement * factor,
                displaced_fraction=(0.3, 1.0),
                volume=self.strain * factor,
                shear=self.strain * factor,
            ),
            constraints=constraints,
        )


def refine(
    profile: Profile,
    surface: Surface,
    landscape: Landscape,
    settings: Refinement,
    constraints: Constraints,
    seed: int,
    report: Callable[[int, Profile], None] = lambda number, profile: None,
) -> Profile:
    """Lower the maximum of a path by mutants of its points.

    Parameters
    ----------
    profile : Profile
        The path, in steps no longer than ``settings.reach.distance``.
    surface : Surface
    landscape : Landscape
        With the cutoff as a number.
    settings : Refinement
    constraints : Constraints
        What a mutant must obey; relative to the points of the path.
    seed : int
        Random stream.
    report : callable
        Called with number (from 1) and path of each round.

    Returns
    -------
    Profile
        With the same ends, up to axes and order of atoms.
    """
    for number in range(settings.rounds):
        old = from_atoms(profile.images)
        new = _mutants(old, settings.generate(number, constraints), landscape, seed, number)
        frames = concatenate([old, new])
        n = len(old)
        known = profile.table["enthalpy"].to_numpy() + surface.enthalpy(profile.images[0])
        enthalpies = np.concatenate([known, surface.of_frames(new)])
        place = points(frames, landscape)[["sS", "Q6"]].to_numpy()
        graph = make_graph(
            frames, place, surface, settings.reach, float(known.max()) + 1e-9, enthalpies,
            chain=np.arange(n),
        )  # fmt: skip
        path = minimax_path(graph, 0, n - 1)
        profile = measure(trace(graph, path), surface, landscape, settings.reach.step)
        report(number + 1, profile)
    return profile


def _mutants(
    frames: Frames, settings: Generate, landscape: Landscape, seed: int, number: int
) -> Frames:
    """Accepted mutants of the points of a path."""
    _, first = np.unique(frames.frame_ids(), return_index=True)
    parents = frames.take(np.sort(first))
    place = points(parents, landscape)
    targets, box = make_targets(place, settings)
    context = Context(parents, place, box, landscape, settings, seed, f"path {number}")
    return concatenate(list(run_task(context, targets.iloc[0])))
