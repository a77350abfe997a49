"""Texts about something in an organ, or a part or vessel of it: to the model none of them is the organ itself."""

from __future__ import annotations

import random

from .terms import TERMS, listed

# Noun and adjective of the organs that a finding is put into.
ORGANS = (
    ("liver", "hepatic"),
    ("spleen", "splenic"),
    ("kidney", "renal"),
    ("left kidney", "renal"),
    ("right kidney", "renal"),
    ("stomach", "gastric"),
    ("pancreas", "pancreatic"),
    ("gallbladder", "gallbladder"),
    ("adrenal gland", "adrenal"),
    ("duodenum", "duodenal"),
    ("small bowel", "jejunal"),
    ("colon", "colonic"),
    ("aorta", "aortic"),
    ("vena cava", "caval"),
    ("vertebra", "vertebral"),
    ("spine", "spinal"),
    ("rib", "costal"),
    ("lung", "pulmonary"),
    ("heart", "cardiac"),
    ("brain", "cerebral"),
    ("skull", "cranial"),
)
LESIONS = listed(
    """
    tumour; tumor; tumours; tumors; cancer; carcinoma; metastasis; metastases; lesion; lesions; focal lesion; mass;
    cyst; cysts; abscess; nodule; nodules; haematoma; hematoma; infarct; infarction; laceration; calcification;
    aneurysm; stone; stones; haemangioma; hemangioma; adenoma; polyp; ulcer; thrombus; thrombosis; embolism; fracture;
    oedema; edema; stenosis; dissection; rupture; bleeding; haemorrhage; hemorrhage; biopsy needle; stent; drain;
    scar; necrosis; lymphoma; sarcoma; malignancy; neoplasm; transplant rejection; ischaemia; perforation; leak
    """
)
PARTS = ("artery", "arteries", "nerve", "duct", "ligament", "hilum", "capsule", "lymph node", "lymph nodes", "vessels")
OTHERS = listed(
    """
    left lobe of the liver; right lobe of the liver; left hepatic lobe; right hepatic lobe; caudate lobe;
    quadrate lobe; liver segment 4; segment vii of the liver; bile duct;
    common bile duct; gallstone; gallstones; renal vein; renal pelvis; ureter; ureters; renal medulla; renal capsule;
    head of the pancreas; tail of the pancreas; pancreatic tail; gastric antrum; pylorus; gastric fundus;
    rectum; caecum; appendix; mesentery; omentum; ascites; free fluid;
    aortic valve; aortic root; mitral valve; septum;
    coronary artery; coronary arteries; pericardium; pulmonary vein; bronchus; bronchi; left upper
    lobe; right lower lobe of the lung; lingula; pleura; diaphragm; mediastinum;
    superior mesenteric artery; coeliac trunk; disc herniation; pedicle; spinous process;
    nerve root; sternum; clavicle; scapula; sacrum; coccyx; abdominal wall; muscle
    of the abdominal wall; rectus abdominis; corpus callosum; pituitary gland; optic chiasm; falx; temporal bone;
    maxillary sinus
    """
)
VESSELS = ("aorta", "vena cava")  # "aortic vessel" is the aorta
# What is a term of its own: tumours of these, and what may be called one.
TAUGHT = {
    organ: frozenset(LESIONS)
    - {"cyst", "cysts", "abscess", "stone", "stones", "biopsy needle", "stent", "drain", "scar"}
    for organ in ("liver", "lung", "brain")
}
_NAMES = {text for term in TERMS for text in (*term.nouns, *term.phrases)}
# Kept out of training, for the report on what is not there.
HELD_OUT = (
    "hepatic haemangioma",
    "cancer of the kidney",
    "splenic laceration",
    "stone in the kidney",
    "renal artery",
    "gastric ulcer",
    "aortic dissection",
    "thyroid nodule",
    "left lobe of the liver",
    "retinal haemorrhage",
)


def _compose(rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.3:
        return rng.choice(OTHERS)
    noun, adjective = rng.choice(ORGANS)
    if kind < 0.5 and noun not in VESSELS:
        part = rng.choice(PARTS)
        return rng.choice((f"{adjective} {part}", f"{adjective} {part}", f"{part} of the {noun}"))
    lesion = rng.choice([lesion for lesion in LESIONS if lesion not in TAUGHT.get(noun, ())])
    return rng.choice(
        (
            f"{noun} {lesion}",
            f"{adjective} {lesion}",
            f"{lesion} of the {noun}",
            f"{lesion} in the {noun}",
            f"{lesion} within the {noun}",
        )
    )


def write_finding(rng: random.Random) -> str:
    """A random text such as "hepatic cyst", "stone in the kidney" or "mitral valve"."""
    text = _compose(rng)
    while text in HELD_OUT or text in _NAMES:
        text = _compose(rng)
    return text
