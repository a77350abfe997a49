"""In which parts of the body each term can be."""

from __future__ import annotations

PLACES = ["head", "neck", "chest", "abdomen", "pelvis", "breast", "knee", "obstetric"]
# A picture of the heart or of the lumbar spine is one of chest and abdomen.
_NAMES = {
    "abdomen": "liver;spleen;kidney;left kidney;right kidney;adrenal gland;gallbladder;stomach;pancreas;duodenum"
    ";portal vein;liver tumour;hepatic vessel;quadratus lumborum",
    "abdomen pelvis": "small bowel;colon;bowel;psoas",
    "abdomen chest": "inferior vena cava;heart;left ventricle;right ventricle;left atrium;right atrium;myocardium"
    ";lung;left lung;right lung;lung tumour;pleural effusion;rib;costal cartilage;pulmonary artery",
    "abdomen chest neck": "aorta;esophagus;back muscle",
    "chest neck": "superior vena cava",
    "abdomen chest neck pelvis": "vertebra;intervertebral disc",
    "abdomen chest neck head": "spinal cord;spinal canal",
    "neck": "larynx",
    "neck head": "brain;cerebellum;hippocampus;thalamus;caudate;putamen;frontal lobe;temporal lobe;parietal lobe"
    ";occipital lobe;skull;brainstem;parotid gland;left parotid gland;right parotid gland;mandible;lateral ventricle"
    ";white matter;grey matter;brain tumour;white matter lesion;stroke lesion;intracranial haemorrhage"
    ";perihaematomal oedema",
    "pelvis": "prostate",
    "abdomen pelvis chest": "hip bone;gluteal muscle;iliac vessel",
    "knee": "knee bone",
    "breast chest": "breast lesion",
    "head neck chest abdomen pelvis breast knee obstetric": "fat;bone;background;ct;mr;ultrasound;x-ray;abdomen"
    ";chest;head;pelvis;neck",
}
WHERE = {name: frozenset(places.split()) for places, names in _NAMES.items() for name in names.split(";")}
