"""What tests of the engine vasp share: the stand-in program, mock potentials, a cell."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk

COMMAND = f"{sys.executable} {Path(__file__).with_name('vasp_std')}"
POTCAR = """\
  PAW_PBE {symbol} 01Jan2000
   {valence}
 parameters from PSCTR are:
   VRHFIN ={symbol}: stand-in
   LEXCH  = PE
   EATOM  =    10.0000 eV,    0.7350 Ry

   TITEL  = PAW_PBE {symbol} 01Jan2000
   LULTRA =        F    use ultrasoft PP ?
   POMASS =   26.982; ZVAL   =    {valence}    mass and valenz
   ENMAX  =  240.300; ENMIN  =  180.225 eV
   END of PSCTR-controll parameters
 local part
   1.0000000   0.5000000
 End of Dataset
"""


def write_potentials(folder: Path) -> None:
    """A folder of potentials that hold titles and valences, and nothing of VASP's."""
    for symbol, valence in (("Al", 3.0), ("Cu", 11.0)):
        path = folder / "POT_GGA_PAW_PBE_54" / symbol
        path.mkdir(parents=True)
        (path / "POTCAR").write_text(POTCAR.format(symbol=symbol, valence=valence))


def alloy() -> Atoms:
    atoms = bulk("Al", "fcc", 4.0, cubic=True)
    atoms.symbols = "AlCuAlCu"
    atoms.rattle(0.05, seed=3)
    atoms.set_cell(atoms.cell @ (np.eye(3) + 0.02 * np.arange(9).reshape(3, 3) / 9), True)
    return atoms
