"""Acute lesions by rule: planted ones are found to the voxel, and nothing else is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.builders import ROOT
from wmhflow.core.arrays.validation import UnfitImageError
from wmhflow.core.diffusion import AcuteRule, find_acute

SHAPE = (30, 32, 28)
WHITE_S0, WHITE_ADC, FLUID_S0, FLUID_ADC = 100.0, 0.78e-3, 300.0, 3.0e-3
B = 1000.0
FLUID = np.s_[13:17, 12:20, 10:18]
LESION, SMALL, BLEED = np.s_[4:8, 4:8, 4:7], np.s_[24:26, 4:5, 4:5], np.s_[22:27, 22:27, 12:16]


def scan(*, lesions: tuple[Any, ...] = (LESION,), snr: float = 40.0, seed: int = 0) -> dict:
    """A brain of white matter with ventricles, lesions and noise, on 1 mm voxels."""
    rng = np.random.default_rng(seed)
    s0, adc = np.full(SHAPE, WHITE_S0), np.full(SHAPE, WHITE_ADC)
    s0[FLUID], adc[FLUID] = FLUID_S0, FLUID_ADC
    for lesion in lesions:
        adc[lesion] = 0.35e-3
    plain, weighted = (
        np.hypot(
            values + rng.normal(0, WHITE_S0 / snr, SHAPE), rng.normal(0, WHITE_S0 / snr, SHAPE)
        )
        for values in (s0, s0 * np.exp(-B * adc))
    )
    brain = np.zeros(SHAPE, bool)
    brain[2:-2, 2:-2, 2:-2] = True
    fluid = np.zeros(SHAPE, bool)
    fluid[FLUID] = True
    return {
        "dwi": weighted,
        "adc": np.log(plain / weighted) / B,
        "brain": brain,
        "white": brain & ~fluid,
        "fluid": fluid,
        "spacing": (1, 1, 1),
        "dwi_voxel_mm3": 2.0,
    }


def box(*places: Any) -> np.ndarray:
    found = np.zeros(SHAPE, bool)
    for place in places:
        found[place] = True
    return found


def test_planted_lesions_are_found_to_the_voxel_and_nothing_else() -> None:
    found = find_acute(**scan(snr=200))
    assert np.array_equal(found.mask, box(LESION))
    assert found.facts["volume_mm3"] == 4 * 4 * 3
    assert found.facts["white_adc"] == pytest.approx(WHITE_ADC, rel=0.01)
    assert found.facts["white_dwi"] == pytest.approx(WHITE_S0 * np.exp(-B * WHITE_ADC), rel=0.01)
    assert found.facts["fluid_adc"] > 2e-3
    assert found.facts["coverage"] == 1
    assert found.facts["rim_mm3"] == 0


@pytest.mark.parametrize("snr", [15, 25, 50])
@pytest.mark.parametrize("seed", range(4))
def test_noise_alone_gives_no_lesion(snr: float, seed: int) -> None:
    assert not find_acute(**scan(lesions=(), snr=snr, seed=seed)).mask.any()


def test_what_is_bright_for_its_t2_or_dark_for_blood_is_no_lesion() -> None:
    made = scan(snr=200)
    shine, blood = np.s_[20:24, 4:8, 4:8], np.s_[4:8, 22:26, 20:24]
    made["dwi"][shine], made["adc"][shine] = 120, 1.1e-3
    made["dwi"][blood], made["adc"][blood] = 15, 0.3e-3
    assert np.array_equal(find_acute(**made).mask, box(LESION))


def test_the_edge_of_a_core_belongs_to_its_lesion_and_is_none_alone() -> None:
    made = scan(snr=200)
    around, alone, diffuse = np.s_[8:9, 4:8, 4:7], np.s_[20:24, 4:8, 4:8], np.s_[4:8, 8:9, 4:7]
    for part in (around, alone):
        made["dwi"][part], made["adc"][part] = 60, 0.67e-3
    # bright for its T2, beside a core
    made["dwi"][diffuse], made["adc"][diffuse] = 60, 0.8e-3
    assert np.array_equal(find_acute(**made).mask, box(LESION, around))
    strict = replace(AcuteRule(), edge_adc=0.0)
    assert np.array_equal(find_acute(**made, rule=strict).mask, box(LESION))


def test_a_bright_tissue_is_compared_with_itself() -> None:
    # a cerebellum as bright as a weak lesion, with a low ADC here and there
    made = scan(snr=200)
    low = np.zeros(SHAPE, bool)
    low[18:28, 4:28, 2:9] = True
    made["dwi"][low], made["white"][low] = made["dwi"][low] * 1.35, False
    made["adc"][20:23, 5:9, 4:7] = 0.55e-3
    assert find_acute(**made).mask[20:23, 5:9, 4:7].all()
    kinds = np.where(low, 2, 1)
    assert np.array_equal(find_acute(**made, tissue=kinds).mask, box(LESION))
    # too few voxels of a kind have no brightness of their own
    assert find_acute(**made, tissue=kinds * 0).mask[20:23, 5:9, 4:7].all()


def test_an_edge_reaches_no_farther_than_it_may() -> None:
    made = scan(snr=200)
    along = np.s_[8:20, 4:8, 4:7]
    made["dwi"][along], made["adc"][along] = 60, 0.67e-3
    found = find_acute(**made).mask
    reach = int(AcuteRule().edge_mm)
    assert np.array_equal(found, box(LESION, np.s_[8 : 8 + reach, 4:8, 4:7]))


def test_nothing_counts_outside_the_brain_and_a_lesion_is_cut_at_its_edge() -> None:
    made = scan(snr=200, lesions=(np.s_[0:6, 4:8, 4:8],))
    assert np.array_equal(find_acute(**made).mask, box(np.s_[2:6, 4:8, 4:8]))


@pytest.mark.parametrize(
    ("rule", "is_found"),
    [
        (AcuteRule(least_mm3=2, least_voxels=1), True),
        (AcuteRule(least_mm3=3, least_voxels=1), False),
        (AcuteRule(least_mm3=1, least_voxels=2), False),
    ],
)
def test_small_ones_are_dropped_by_volume_or_by_voxels(rule: AcuteRule, is_found: bool) -> None:
    # two voxels of 1 mm, one of the image
    found = find_acute(**scan(snr=200, lesions=(LESION, SMALL)), rule=rule)
    assert found.mask[SMALL].all() == is_found
    assert found.mask[LESION].all()


def test_nothing_counts_in_a_haemorrhage_and_its_rim() -> None:
    # 1, 5 and 6 mm from its edge
    near, at, beyond = (
        np.s_[22:25, 27:28, 12:16],
        np.s_[22:25, 17:18, 12:16],
        np.s_[16:17, 22:27, 12:16],
    )
    made = scan(snr=200, lesions=(LESION, near, at, beyond, BLEED))
    found = find_acute(**made, haemorrhage=box(BLEED))
    assert np.array_equal(found.mask, box(LESION, beyond))
    assert found.facts["rim_mm3"] == pytest.approx(box(near, at, BLEED).sum(), abs=2)
    wider = find_acute(**made, haemorrhage=box(BLEED), rule=AcuteRule(rim_mm=6.5))
    assert np.array_equal(wider.mask, box(LESION))
    assert find_acute(**made, haemorrhage=box()).mask[BLEED].all()


def test_the_same_in_other_voxels_and_units_of_signal() -> None:
    made = scan(snr=200)
    turned = {name: np.flip(value.transpose(2, 0, 1), 1) if isinstance(value, np.ndarray) else value
              for name, value in made.items()}  # fmt: skip
    turned["dwi"] = turned["dwi"] * 37
    expected = np.flip(box(LESION).transpose(2, 0, 1), 1)
    assert np.array_equal(find_acute(**turned).mask, expected)


def test_what_is_not_known_is_no_lesion_and_is_told() -> None:
    made = scan(snr=200)
    made["dwi"][:, :, 14:], made["adc"][5, 5, 5] = np.nan, np.nan
    found = find_acute(**made)
    expected = box(LESION)
    expected[5, 5, 5] = False
    assert np.array_equal(found.mask, expected)
    assert found.facts["coverage"] == pytest.approx(0.5, abs=0.01)


def inverted(made: dict) -> None:
    made["dwi"] = made["dwi"].max() - made["dwi"]


def plain(made: dict) -> None:
    made["dwi"] = made["dwi"] * np.exp(B * made["adc"])


def exponential(made: dict) -> None:
    made["adc"] = np.exp(-B * made["adc"]) * 1e-3


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (inverted, "fluid is"),
        (plain, "fluid is"),
        (exponential, "ADC of fluid"),
        (lambda made: made.update(dwi=np.full(SHAPE, 40.0)), "constant in white matter"),
        (lambda made: made.update(dwi=np.zeros(SHAPE)), "constant in white matter, or empty"),
        (lambda made: made.update(dwi=-made["dwi"]), "constant in white matter, or empty"),
        (lambda made: made.update(dwi=np.full(SHAPE, np.nan)), "0 voxels of normal white"),
        (lambda made: made.update(adc=np.full(SHAPE, np.inf)), "0 voxels of normal white"),
        (lambda made: made.update(adc=made["adc"] * 1e3), "0.0004 to 0.0015 can be true"),
        (lambda made: made.update(white=np.zeros(SHAPE, bool)), "0 voxels of normal white"),
    ],
)
def test_images_that_are_not_what_they_should_be_are_refused(spoil: Any, why: str) -> None:
    made = scan()
    spoil(made)
    with pytest.raises(UnfitImageError, match=why):
        find_acute(**made)


def test_without_ventricles_in_view_fluid_is_not_known() -> None:
    made = scan(snr=200)
    found = find_acute(**{**made, "fluid": np.zeros(SHAPE, bool)})
    assert (found.facts["fluid_dwi"], found.facts["fluid_adc"]) == (None, None)
    assert np.array_equal(found.mask, box(LESION))


def test_numbers_of_the_rule_act() -> None:
    made = scan(snr=200)
    for other in ({"largest_adc": 0.3e-3}, {"least_spreads": 1e4}, {"least_mm3": 100}):
        assert not find_acute(**made, rule=replace(AcuteRule(), **other)).mask.any()


def test_the_definitions_say_the_numbers_of_the_rule() -> None:
    told = " ".join((ROOT / "docs" / "definitions.md").read_text(encoding="utf-8").split())
    rule = AcuteRule()
    for words in (
        f"in `seg-tissue`, by {rule.least_spreads:g} robust spreads of NAWM",
        f"at most {1e3 * rule.largest_adc:g} × 10⁻³ mm²/s (Purushotham",
        f"up to {rule.edge_mm:g} mm from it that are brighter by {rule.edge_spreads:g} spreads",
        f"an ADC of at most {1e3 * rule.edge_adc:g} × 10⁻³ mm²/s: at a lesion's border",
        f"at least {rule.least_mm3:g} mm³ of core, and the volume of {rule.least_voxels:g} voxels",
        f"more than {rule.rim_mm:g} mm from a given haemorrhage",
    ):
        assert words in told
