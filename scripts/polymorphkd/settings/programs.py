"""Settings of the engines that start a DFT program for each frame: espresso, cp2k, abinit.

Units are eV and Å throughout; the engines convert.  Defaults follow one thought: a label
must be a smooth function of the atoms, so smearing has no negative occupations, cutoffs are
those at which stress is converged and the SCF ends where its error is far below that of
the forces.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from ase.data import atomic_numbers
from pydantic import Field, field_validator

from .base import Count, Section, check_elements
from .keywords import paths, refusal, refused, upper_keys

Functional = Annotated[str, Field(pattern=r"^[A-Za-z0-9_+*/-]+$")]
FileName = Annotated[str, Field(pattern=r"^[^\s/,\"']+$")]
Scalar = bool | int | float | str
Smearing = Literal["gaussian", "fermi-dirac", "methfessel-paxton", "marzari-vanderbilt"]

MOMENTS = (
    "Initial magnetic moment of each element, Bohr magnetons per atom; empty for a calculation "
    "without spin"
)


class Program(Section):
    """What these engines share."""

    command: str = Field(min_length=1, description="How the program is started")
    kspacing: float = Field(
        0.2513, gt=0.02, le=2, description="Largest k-point spacing, 1/Å (2 pi included)"
    )
    max_scf_steps: Count = Field(100, description="SCF steps before a frame counts as unconverged")
    moments: dict[str, float] = Field({}, description=MOMENTS)
    frame_time: float = Field(21600.0, gt=0, description="Wall time of a frame, s")
    scratch: str = Field(
        "label_runs",
        min_length=1,
        description="Folder that holds a folder for each frame while it runs",
    )
    keep: Literal["none", "failed", "all"] = Field(
        "failed", description="Runs whose files stay; those of finished frames as .tar.gz"
    )

    @field_validator("moments", "potentials", "kinds", check_fields=False)
    @classmethod
    def _names_elements(cls, value: dict[str, Any]) -> dict[str, Any]:
        check_elements(list(value))
        return value


class Espresso(Program):
    """Plane-wave DFT with pw.x of Quantum ESPRESSO."""

    cutoff_key: ClassVar[str] = "ecutwfc"

    command: str = Field(
        "pw.x",
        min_length=1,
        description="How the program is started, such as `mpirun -np 16 pw.x`",
    )
    functional: Functional | None = Field(
        None,
        description="Functional (input_dft), such as pbesol; null for the one that the potentials "
        "were made with, which is the consistent choice",
    )
    ecutwfc: float = Field(1200.0, ge=100, le=5000, description="Plane-wave cutoff, eV")
    density_ratio: float = Field(
        8.0,
        ge=4,
        le=16,
        description="Cutoff of the density over ecutwfc; 4 is enough if all potentials are "
        "norm-conserving",
    )
    smearing: Smearing = Field("gaussian", description="Occupation function")
    width: float = Field(0.05, ge=0.001, le=2, description="Smearing width, eV")
    scf_tolerance: float = Field(
        3e-9,
        gt=0,
        le=1e-4,
        description="Estimated SCF accuracy (conv_thr), eV/atom; small because the energy's error "
        "goes as the square of the forces' error",
    )
    potentials: dict[str, FileName] = Field(
        {}, description="UPF file of every element, such as {Al: Al.pbe-n-kjpaw_psl.1.0.0.UPF}"
    )
    potential_folder: str | None = Field(
        None, description="Folder of these files; null for the variable ESPRESSO_PSEUDO"
    )
    keywords: dict[str, Scalar] = Field(
        {},
        description="Further keywords of pw.x in its own units, such as {vdw_corr: dft-d3, "
        "Hubbard_U(Fe): 4.0}; they win over other keys",
    )

    @field_validator("keywords")
    @classmethod
    def _static_and_neutral(cls, value: dict[str, Scalar]) -> dict[str, Scalar]:
        for name in value:
            kind = re.search(r"\((.*)\)", name)
            if kind and kind[1].strip() not in atomic_numbers:
                raise ValueError(
                    f"{name}: name the element, as in Hubbard_U(Fe); numbers of species differ "
                    "from frame to frame"
                )
        return refused(
            value,
            "calculation nstep tot_charge tprnfor tstress ibrav celldm a b c cosab cosac cosbc "
            "nat ntyp nspin noncolin lspinorb starting_magnetization tot_magnetization "
            "starting_charge occupations prefix outdir wfcdir pseudo_dir restart_mode disk_io "
            "max_seconds scf_must_converge lelfield tefield gate assume_isolated "
            "pseudopotentials kpts",
        )


class Cp2kKind(Section):
    """Basis set and potential of an element."""

    basis: str = Field(min_length=1, description="Basis set, such as DZVP-MOLOPT-SR-GTH")
    potential: str = Field(min_length=1, description="Potential, such as GTH-PBE-q3")


class Cp2k(Program):
    """Gaussian and plane-wave DFT with CP2K (Quickstep)."""

    cutoff_key: ClassVar[str] = "cutoff"

    command: str = Field(
        "cp2k.psmp",
        min_length=1,
        description="How the program is started, such as `mpirun -np 16 cp2k.psmp`",
    )
    functional: Literal["LDA", "PBE", "PBEsol", "revPBE", "BLYP"] | None = Field(
        "PBE", description="Functional; null where keywords hold its section"
    )
    cutoff: float = Field(
        8000.0, ge=1000, le=40000, description="Cutoff of the finest grid of the density, eV"
    )
    relative_cutoff: float = Field(
        800.0,
        ge=200,
        le=4000,
        description="Cutoff that decides which grid a Gaussian is put on, eV",
    )
    width: float = Field(
        0.05, ge=0.001, le=2, description="Smearing width (Fermi-Dirac, k times temperature), eV"
    )
    scf_tolerance: float = Field(
        1e-7, gt=0, le=1e-4, description="Largest change of the density matrix (EPS_SCF)"
    )
    kinds: dict[str, Cp2kKind] = Field(
        {},
        description="Basis set and potential of every element, such as "
        "{Al: {basis: DZVP-MOLOPT-SR-GTH, potential: GTH-PBE-q3}}",
    )
    basis_files: list[FileName] = Field(
        ["BASIS_MOLOPT"], min_length=1, description="Files of basis sets"
    )
    potential_file: FileName = Field("GTH_POTENTIALS", description="File of potentials")
    potential_folder: str | None = Field(
        None,
        description="Folder of these files; null for the variable CP2K_DATA_DIR, or else the "
        "program's own",
    )
    keywords: dict[str, Any] = Field(
        {},
        description="Further sections of the input as mappings, such as {FORCE_EVAL: {DFT: {QS: "
        "{EPS_DEFAULT: 1e-14}}}}, in CP2K's units; they win over other keys",
    )

    @field_validator("keywords")
    @classmethod
    def _static_and_neutral(cls, value: dict[str, Any]) -> dict[str, Any]:
        fixed = {
            *("MOTION", "EXT_RESTART", "MULTIPLE_FORCE_EVALS", "VIBRATIONAL_ANALYSIS"),
            *("GLOBAL/RUN_TYPE", "GLOBAL/PROJECT", "GLOBAL/PROJECT_NAME", "GLOBAL/PRINT_LEVEL"),
            *("FORCE_EVAL/METHOD", "FORCE_EVAL/STRESS_TENSOR", "FORCE_EVAL/PRINT"),
            *("FORCE_EVAL/RESCALE_FORCES", "FORCE_EVAL/SUBSYS/CELL", "FORCE_EVAL/SUBSYS/COORD"),
            *("FORCE_EVAL/SUBSYS/TOPOLOGY", "FORCE_EVAL/DFT/CHARGE", "FORCE_EVAL/DFT/KPOINTS"),
        }
        value = upper_keys(value)
        for path in paths(value):
            if any(path == one or path.startswith(f"{one}/") for one in fixed):
                raise ValueError(refusal(path))
        return value


class Abinit(Program):
    """Plane-wave DFT with ABINIT 9 or later."""

    cutoff_key: ClassVar[str] = "ecut"

    command: str = Field(
        "abinit",
        min_length=1,
        description="How the program is started, such as `mpirun -np 16 abinit`",
    )
    functional: int | None = Field(
        None,
        description="Functional by its number (ixc), such as 11 for PBE or -116133 for PBEsol; "
        "null for the one that the potentials were made with, which is the consistent choice",
    )
    ecut: float = Field(1200.0, ge=100, le=5000, description="Plane-wave cutoff, eV")
    density_ratio: float = Field(
        2.0,
        ge=1,
        le=8,
        description="Cutoff of the fine grid of PAW (pawecutdg) over ecut; norm-conserving "
        "potentials have none",
    )
    smearing: Smearing = Field("gaussian", description="Occupation function")
    width: float = Field(0.05, ge=0.001, le=2, description="Smearing width, eV")
    scf_tolerance: float = Field(
        1e-10,
        gt=0,
        le=1e-2,
        description="Squared residual of the potential (tolvrs), Hartree^2; it bounds the "
        "error of forces and stress, which the energy does not",
    )
    potentials: dict[str, FileName] = Field(
        {}, description="File of the potential of every element, such as {Al: Al.psp8}"
    )
    potential_folder: str | None = Field(
        None, description="Folder of these files; null for the variable ABINIT_PP_PATH"
    )
    keywords: dict[str, Scalar | list[Scalar]] = Field(
        {},
        description="Further variables of ABINIT in its own units, such as {npfft: 2, vdw_xc: 6}; "
        "they win over other keys",
    )

    @field_validator("keywords")
    @classmethod
    def _static_and_neutral(cls, value: dict[str, Any]) -> dict[str, Any]:
        return refused(
            value,
            "ionmov optcell ntime geoopt moldyn imgmov nimage optdriver ndtset jdtset udtset "
            "charge cellcharge efield qprtrb kptopt ngkpt nkpt kpt kptrlatt kptnrm shiftk nshiftk "
            "kptbounds kptgw natom ntypat typat znucl xred xcart xangst acell rprim angdeg "
            "nsym symrel spgroup pseudos pp_dirpath optforces optstress nsppol "
            "nspinor nspden spinat occ occopt tsmear toldfe toldff tolrff tolwfr getwfk irdwfk "
            "getden irdden restartxf xc smearing kpts pps raw nbands",
        )
