"""GPAW build settings for a plain `pip install`: serial, no BLAS, no libxc, no FFTW headers.

PAW-PBE needs none of them: LDA and PBE kernels are built into GPAW, and dense
linear algebra goes through NumPy/SciPy.  Used through the variable GPAW_CONFIG.
"""

mpi = False
noblas = True
nolibxc = True
libraries = []
compiler = "g++"
