"""What teachers and students of DeePMD-kit share: data, process, curve, prediction."""
