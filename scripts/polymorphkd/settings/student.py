"""Settings of the students."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from .base import Count, FiniteSection, Section
from .faults import Fault, Faults, faults
from .student_pod import Pod

SIZES: dict[str, dict[str, Any]] = {
    "tiny": {"rcut": 4.0, "embedding": [4, 8, 16], "axis_neuron": 4, "fitting": [32, 32]},
    "small": {"rcut": 5.0, "embedding": [8, 16, 32], "axis_neuron": 4, "fitting": [32, 32, 32]},
    "medium": {},
    "paper": {"rcut": 8.0, "embedding": [32, 64, 128], "axis_neuron": 16, "fitting": [240] * 5},
}
"""Keys of the network by size; `medium` is the defaults of :class:`Deepmd`."""


Label = Literal["energy", "forces", "virial"]
Prefactor = Annotated[float, Field(ge=0)]
Prefactors = tuple[Prefactor, Prefactor]


class Deepmd(FiniteSection):
    """DeePMD se_e2_a network and training (TensorFlow backend)."""

    rcut: float = Field(6.0, gt=1, le=12, description="Cutoff radius, Å")
    rcut_smooth: float = Field(2.0, gt=0, description="Where the switching function starts, Å")
    embedding: list[Count] = Field([16, 32, 64], min_length=1, description="Embedding layers")
    axis_neuron: Count = Field(8, description="Columns of the embedding sub-matrix")
    fitting: list[Count] = Field([64, 64, 64], min_length=1, description="Fitting layers")
    activation: Literal["tanh", "gelu", "softplus"] = Field(
        "tanh", description="Activation function of both networks"
    )
    precision: Literal["float32", "float64"] = Field(
        "float32", description="Precision of the network weights; coordinates are float64"
    )
    batch_atoms: Count = Field(
        24, description="A step sees as many frames as have at least this many atoms together"
    )
    steps: Count = Field(60000, description="Training steps of each student")
    learning_rate: float = Field(5e-3, gt=0, le=1, description="Initial learning rate")
    final_learning_rate: float = Field(1e-5, gt=0, description="Final learning rate")
    energy_prefactor: Prefactors = Field((1, 10), description="Loss, start and end")
    force_prefactor: Prefactors = Field((100, 10), description="Loss, start and end")
    virial_prefactor: Prefactors = Field((0.1, 0.5), description="Loss, start and end")
    fine_tune_steps: int = Field(
        0,
        ge=0,
        description="Further steps on DFT frames alone, from the trained weights, with the loss "
        "prefactors of the end; for every student, so that they stay comparable",
    )
    fine_tune_learning_rate: float = Field(
        1e-4,
        gt=0,
        le=1,
        description="Learning rate at which these start; they end at the final one",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Deepmd:
        if self.rcut_smooth >= self.rcut:
            raise ValueError("rcut_smooth must be smaller than rcut")
        if self.final_learning_rate > self.learning_rate:
            raise ValueError("final_learning_rate must not be above learning_rate")
        if self.fine_tune_steps and self.fine_tune_learning_rate < self.final_learning_rate:
            raise ValueError("fine_tune_learning_rate must not be below final_learning_rate")
        return self


FAMILY_KEYS = {"deepmd": {"deepmd", "size"}, "pod": {"pod"}}
"""Keys of :class:`Student` by the family that alone uses them."""

NETWORK = tuple(SIZES["small"])
"""Keys of :class:`Deepmd` that a size decides."""


class Student(Section):
    """Distilled students; dnn and dnn-kd share every setting here but the data."""

    kind: Literal["deepmd", "pod"] = Field(
        "deepmd",
        description="Student family: deepmd is a network (se_e2_a), pod a linear potential that "
        "is fitted in minutes and needs fewer frames",
    )
    size: Literal["tiny", "small", "medium", "paper"] = Field(
        "medium",
        description="Network of the student deepmd: cutoff, embedding and fitting layers. tiny: "
        "4 Å (mind that it holds at least two shells of neighbours), [4, 8, 16] x 4, [32, 32]; "
        "small: 5 Å, [8, 16, 32] x 4, [32, 32, 32]; paper: 8 Å, [32, 64, 128] x 16, five layers "
        "of 240; keys given under deepmd win",
    )
    deepmd: Deepmd = Field(Deepmd(), description="Settings of the student deepmd")
    pod: Pod = Field(Pod(), description="Settings of the student pod")
    dft_probability: float = Field(
        0.3,
        gt=0,
        lt=1,
        description="Share of the training steps of dnn-kd that see DFT frames; of the weight in "
        "the fit of a pod",
    )
    taught: list[Label] = Field(
        ["energy", "forces", "virial"],
        min_length=1,
        description="Labels of the teacher that dnn-kd learns; the others come from DFT frames "
        "alone. Without energy where reference energies of the teacher are not those of the DFT",
    )

    scan: dict[str, dict[str, Any]] = Field(
        {},
        description="Students that `snakemake student_scan` trains and compares, by name: the "
        "keys of this section that differ, such as {size: small} or {deepmd: {rcut: 5.5}}",
    )

    @property
    def unused(self) -> set[str]:
        """Keys that belong to another family."""
        return {key for kind, keys in FAMILY_KEYS.items() if kind != self.kind for key in keys}

    @model_validator(mode="before")
    @classmethod
    def _network_of_size(cls, values: Any) -> Any:
        if not isinstance(values, dict) or not isinstance(values.get("deepmd", {}), dict):
            return values
        preset = SIZES.get(str(values.get("size")), {})
        return {**values, "deepmd": {**preset, **values.get("deepmd", {})}}

    @field_validator("taught")
    @classmethod
    def _each_once(cls, value: list[Label]) -> list[Label]:
        if len(set(value)) != len(value):
            raise ValueError("a label is named twice")
        return sorted(value)  # their order means nothing

    @model_validator(mode="after")
    def _something_is_learned(self) -> Student:
        net, linear = self.deepmd, self.pod
        weights: list[Sequence[float]]
        if self.kind == "deepmd":
            weights = [net.energy_prefactor, net.force_prefactor, net.virial_prefactor]
            keys = "deepmd.energy_prefactor, force_prefactor and virial_prefactor"
        else:
            weights = [[linear.energy_weight], [linear.force_weight], [linear.virial_weight]]
            keys = "pod.energy_weight, force_weight and virial_weight"
        learned = dict(zip(("energy", "forces", "virial"), weights, strict=True))
        if not any(any(learned[label]) for label in self.taught):
            raise ValueError(
                f"taught: the loss has no weight for {' and '.join(self.taught)}; see {keys}"
            )
        return self

    @model_validator(mode="after")
    def _scan_is_possible(self) -> Student:
        for name, changes in self.scan.items():
            key = ("scan", name)
            if not re.fullmatch(r"\w[\w.-]*", name):
                text = (
                    "a name is letters, digits, '.', '_' and '-', and begins with none of the "
                    "signs but '_'"
                )
                raise Faults([Fault(key, text)])
            if "scan" in changes:
                raise Faults([Fault((*key, "scan"), "a student of a scan has no scan of its own")])
            try:
                student = self.scanned(name)
            except ValidationError as error:
                found = faults(error, Student)
                raise Faults([replace(fault, key=key + fault.key) for fault in found]) from error
            for idle in sorted(set(changes) & student.unused):
                text = f"means nothing to a student of kind {student.kind}"
                raise Faults([Fault((*key, idle), text)])
        return self

    def scanned(self, name: str) -> Student:
        """This section with the keys of one student of the scan.

        Without a kind, keys of one family mean a student of that family.
        """
        changes = self.scan[name]
        values = self.model_dump(exclude={"scan"})
        if "size" in changes:  # the network of the size replaces the one that is set
            values["deepmd"] = {k: v for k, v in values["deepmd"].items() if k not in NETWORK}
        named = {family for family, keys in FAMILY_KEYS.items() if keys & set(changes)}
        if "kind" not in changes and len(named) == 1:
            values["kind"] = named.pop()
        merged = dict(changes)
        for section in ("deepmd", "pod"):
            own = changes.get(section, {})
            if isinstance(own, dict):
                merged[section] = {**values[section], **own}
        return Student.model_validate({**values, **merged})
