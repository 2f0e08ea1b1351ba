"""What can be refused before any job starts: input files, engine, elements, prototypes."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import get_args

from .calculators import make_calculator
from .errors import ConfigError, EngineError, InputError
from .frames import Frames, from_atoms
from .label import ENGINES
from .label.ase_engine import AseCalculatorEngine
from .label.converge.scan import scan_engines
from .labelled import read_labels
from .lammps import located
from .processes import program
from .readers import read_frames
from .seeds.collect import check_frames, read_user_seeds
from .seeds.melt_quench import is_prototype, start_cell
from .seeds.prototypes import prototype, repeated
from .select.split import SETS
from .settings import AseEngine, Settings
from .settings.seeds import PrototypeName
from .teacher import check_teacher
from .teacher.training import check_periodic


def preflight(settings: Settings) -> None:
    """Refuse a run that cannot succeed, with one message.

    Raises
    ------
    InputError, ConfigError, EngineError
        Naming the file or key, what is wrong and what is allowed.
    """
    where = f"config/materials/{settings.material}.yaml"
    _check_inputs(settings)
    members = len(settings.inputs.teacher) or settings.teacher.n_models
    if settings.relabel.proposals and members < 2:
        raise ConfigError(
            f"{where}: relabel.proposals: needs a committee, because its disagreement is what is "
            "measured; set teacher.n_models to 2 or more (3 or 4 are common), or proposals to 0"
        )
    if needs(settings, "seeds") and not settings.inputs.seeds:
        _check_prototypes(settings, where)
    if needs(settings, "library"):
        _check_generator(settings, where)
    if needs(settings, "selection"):
        _check_selection(settings, where)
    if needs(settings, "engine"):
        section = getattr(settings.label, settings.label.engine)
        problem = ENGINES[settings.label.engine].problem(section, settings.elements)
        if problem:
            raise EngineError(f"{where}: label.engine: {settings.label.engine}: {problem}")
        if settings.label.converge is not None:
            scan_engines(settings.label)
    _check_models(settings, where)
    if settings.properties.structure not in ("fcc", "bcc", "hcp", "diamond"):
        raise ConfigError(f"{where}: properties.structure: {settings.properties.structure!r}")


def needs(settings: Settings, what: str) -> bool:
    """Whether ``seeds``, ``library``, ``selection`` or ``engine`` has work, given own files."""
    inputs = settings.inputs
    selected = inputs.supplementary and (inputs.standard or inputs.labelled)
    return {
        "library": not selected and not inputs.library,
        "selection": not selected,
        "seeds": not selected and not inputs.library,
        "engine": not inputs.labelled,
    }[what]


def _check_inputs(settings: Settings) -> None:
    inputs = settings.inputs
    if inputs.seeds:
        read_user_seeds(inputs.seeds, settings.elements)
    for key in ("library", "standard", "supplementary", "labelled"):
        path = getattr(inputs, key)
        if path is None:
            continue
        try:
            frames = read_labels(path) if key == "labelled" else read_frames(path)
            check_frames(frames, settings.elements, str(path))
            if key == "labelled":
                _check_labelled(frames, path)
        except InputError as error:
            raise InputError(f"inputs.{key}: {error}") from None


def _check_labelled(frames: Frames, path: Path) -> None:
    if len(frames) < len(SETS):
        raise InputError(
            f"{path}: {len(frames)} labelled frame(s), and each of the sets "
            f"{', '.join(SETS)} needs one"
        )
    check_periodic(frames, path)  # the teacher may do without, the students cannot


def _check_models(settings: Settings, where: str) -> None:
    """What the run trains is installed, and the user's own models know the elements."""
    packages = {"deepmd": ("deepmd-kit", "deepmd"), "pod": ("lammps", "lammps")}
    needed = [(*packages[settings.student.kind], "student.kind")]
    if settings.teacher.kind == "mace":
        needed.append(("mace-torch", "mace", "teacher.kind"))
    for package, module, key in needed:
        if find_spec(module) is None:
            raise EngineError(f"{where}: {key}: {package} is not installed; run `make env`")
    own, foundation = settings.inputs.teacher, settings.inputs.foundation
    made = Path("results", settings.material, "teacher").resolve()
    for key, path in [*(("teacher", p) for p in own), ("foundation", foundation)]:
        if path is not None and made in Path(path).resolve().parents:
            raise InputError(
                f"inputs.{key}: {path}: this is where the run writes its own teacher, so the file "
                "would be replaced; copy it to a folder outside results and name that"
            )
    if own or foundation or settings.teacher.kind != "mace":  # loading MACE takes seconds
        try:
            check_teacher(settings.teacher, own, settings.elements, foundation)
        except EngineError as error:
            raise EngineError(f"{where}: {error}") from None


def _check_generator(settings: Settings, where: str) -> None:
    constraints = settings.generate.constraints
    for pair in constraints.min_distance:
        symbols = pair.split("-")
        if len(symbols) != 2 or not set(symbols) <= set(settings.elements):
            raise ConfigError(
                f"{where}: generate.constraints.min_distance: {pair!r}: expected two of "
                f"{', '.join(settings.elements)}, such as "
                f"{settings.elements[0]}-{settings.elements[-1]}"
            )
    smallest = settings.seeds.n_atoms[0]
    if not settings.inputs.seeds and smallest < 2:
        raise ConfigError(
            f"{where}: seeds.n_atoms: {smallest}: displacements do nothing in a one-atom cell; "
            "2 is the smallest"
        )
    if constraints.gate is not None:
        problem = AseCalculatorEngine.problem(
            AseEngine(
                calculator=constraints.gate.calculator, arguments=constraints.gate.arguments
            ),
            settings.elements,
        )
        if problem:
            raise EngineError(f"{where}: generate.constraints.gate: {problem}")


def _check_selection(settings: Settings, where: str) -> None:
    """Energies that the selection compares must be there; generated frames have none."""
    select, library = settings.select, settings.inputs.library
    if select.representative != "lowest" or select.lowest_of != "energy_per_atom":
        return
    if library is None or read_frames(library, labels_from_calculator=True).energy is None:
        raise ConfigError(
            f"{where}: select.representative: lowest: needs energies, and "
            f"{library or 'the generated library'} has none; give inputs.library with REF_energy, "
            "name another column in select.lowest_of, or choose centre or random"
        )


def _check_prototypes(settings: Settings, where: str) -> None:
    seeds = settings.seeds
    fitting = [
        name
        for name in seeds.prototypes
        if repeated(prototype(name, settings.elements[0], seeds.volume_per_atom), seeds.n_atoms)
    ]
    if not fitting:
        raise ConfigError(
            f"{where}: seeds.n_atoms: no supercell of {', '.join(seeds.prototypes)} has "
            f"{seeds.n_atoms[0]} to {seeds.n_atoms[1]} atoms; no seeds left"
        )
    plan = seeds.md.melt_quench if seeds.md is not None else None
    if plan is not None:
        _check_starts(settings, plan.starts)
    if plan is not None and plan.program == "lammps":
        program("lmp")
        located(plan.commands)
    elif seeds.md is not None:
        md = AseEngine(calculator=seeds.md.calculator, arguments=seeds.md.arguments)
        # Prototypes are of the first element, files of any.
        own = plan is not None and not all(is_prototype(start) for start in plan.starts)
        elements = settings.elements if own else settings.elements[:1]
        problem = AseCalculatorEngine.problem(md, elements)
        if problem:
            raise EngineError(
                f"{where}: seeds.md.calculator: {problem}; name a calculator that knows the "
                "element, or set seeds.md to null"
            )
        made = make_calculator(md.calculator, md.arguments)
        if plan is not None and "stress" not in made.implemented_properties:
            raise EngineError(
                f"{where}: seeds.md.calculator: {md.calculator} gives no stress, which a "
                "melt-quench needs"
            )


def _check_starts(settings: Settings, starts: Sequence[str]) -> None:
    for start in starts:
        if not is_prototype(start) and not Path(start).is_file():
            raise InputError(
                f"seeds.md.melt_quench.starts: {start}: no such file, and none of the prototypes "
                f"{', '.join(get_args(PrototypeName))}"
            )
        check_frames(from_atoms([start_cell(settings, start)]), settings.elements, start)
