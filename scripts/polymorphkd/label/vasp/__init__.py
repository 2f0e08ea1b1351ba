"""VASP: inputs, runs under custodian, and outputs judged frame by frame."""
