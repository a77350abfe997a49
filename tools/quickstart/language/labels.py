"""Tissue labels of the training volumes, and which of them say less than others."""

from __future__ import annotations

# Mutually exclusive tissue labels of the training volumes. "other" is body tissue with no name.
LABELS = (
    "other", "air", "fat", "soft", "bone", "gas", "liver", "spleen", "kidney_left", "kidney_right", "adrenal",
    "gallbladder", "stomach", "pancreas", "duodenum", "small_bowel", "colon", "aorta", "vena_cava",
    "portal_vein", "vertebra", "spinal_cord", "back_muscle", "psoas", "rib", "cartilage", "lung_left",
    "lung_right", "heart", "brain_other", "cerebellum", "hippocampus", "thalamus", "caudate", "putamen",
    "pallidum", "frontal", "temporal", "parietal", "occipital", "insula", "cingulate", "amygdala", "skull",
    "esophagus", "larynx", "mandible", "parotid_left", "parotid_right", "superior_vena_cava",
    "pulmonary_artery", "left_ventricle", "right_ventricle", "left_atrium", "right_atrium", "myocardium",
    "brainstem", "white_matter", "grey_matter", "brain_ventricle", "disc", "spinal_canal", "kidney", "hip",
    "gluteus", "iliac_vessel", "quadratus", "knee_bone", "femur", "prostate", "brain_tumour", "white_lesion",
    "stroke", "haemorrhage", "oedema", "breast_lesion", "lung_tumour", "liver_tumour", "hepatic_vessel",
    "effusion",
)  # fmt: skip
LABEL_INDEX = {name: index for index, name in enumerate(LABELS)}
LESIONS_OF_THE_BRAIN = ("brain_tumour", "white_lesion", "stroke", "haemorrhage", "oedema")
BRAIN = (
    *LABELS[LABELS.index("brain_other") : LABELS.index("amygdala") + 1],
    *("brainstem", "white_matter", "grey_matter", "brain_ventricle"),
    *LESIONS_OF_THE_BRAIN,
)
CHAMBERS = ("left_ventricle", "right_ventricle", "left_atrium", "right_atrium", "myocardium")
# A label that says less than others: where it is, the parts may be. All labels may be within the first two.
WHOLES: dict[str, tuple[str, ...]] = {
    "other": LABELS,
    "soft": LABELS,
    "bone": ("rib", "cartilage", "vertebra", "skull", "hip", "mandible", "knee_bone", "femur"),
    "liver": ("liver_tumour", "hepatic_vessel"),
    "kidney": ("kidney_left", "kidney_right"),
    "heart": CHAMBERS,
    "brain_other": BRAIN,
    "skull": ("mandible", "parotid_left", "parotid_right"),
    "lung_left": ("lung_tumour", "effusion"),
    "lung_right": ("lung_tumour", "effusion"),
    "portal_vein": ("hepatic_vessel",),
}
