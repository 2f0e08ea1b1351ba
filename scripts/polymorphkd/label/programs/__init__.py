"""Engines that start a DFT program for each frame: Quantum ESPRESSO, CP2K, ABINIT."""
