# Helper functions of the scan of students.


def scan_figures(wildcards):
    """Figures of the scans of all materials, for the target that a user asks for by name."""
    found = [name for name, one in SETTINGS.items() if one.student.scan]
    if not found:
        raise WorkflowError(
            "student_scan: student.scan is empty for every material; give it the students to "
            "compare, such as {small: {size: small}, medium: {}}, see docs/distillation.md"
        )
    return expand("results/{material}/student/scan.png", material=found)


def scanned_settings(wildcards):
    """Settings of one student of the scan as plain data."""
    student = settings(wildcards).student.scanned(wildcards.entry)
    return student.model_dump(mode="json", exclude=student.unused)


def scan_results(wildcards):
    """Results of all students of the scan."""
    return expand(
        "results/{material}/student/scan/{entry}/result.json",
        material=wildcards.material,
        entry=settings(wildcards).student.scan,
    )
