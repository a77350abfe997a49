"""Anatomical terms of the quick-start model: which labels each term covers and how people write it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Mutually exclusive tissue labels of the training volumes. "other" is body tissue with no name.
LABELS = (
    "other",
    "air",
    "fat",
    "soft",
    "bone",
    "gas",
    "liver",
    "spleen",
    "kidney_left",
    "kidney_right",
    "adrenal",
    "gallbladder",
    "stomach",
    "pancreas",
    "duodenum",
    "small_bowel",
    "colon",
    "aorta",
    "vena_cava",
    "portal_vein",
    "vertebra",
    "spinal_cord",
    "back_muscle",
    "psoas",
    "rib",
    "cartilage",
    "lung_left",
    "lung_right",
    "heart",
    "brain_other",
    "cerebellum",
    "hippocampus",
    "thalamus",
    "caudate",
    "putamen",
    "pallidum",
    "frontal",
    "temporal",
    "parietal",
    "occipital",
    "insula",
    "cingulate",
    "amygdala",
    "skull",
)
LABEL_INDEX = {name: index for index, name in enumerate(LABELS)}
BRAIN = LABELS[LABELS.index("brain_other") : LABELS.index("amygdala") + 1]


@dataclass(frozen=True)
class Term:
    """One anatomical term: its labels, its nouns and its free descriptions.

    ``nouns`` are put into templates ("an axial CT showing {}"); ``phrases`` stand alone.
    """

    name: str
    labels: tuple[str, ...]
    nouns: tuple[str, ...]
    phrases: tuple[str, ...] = ()
    exclusive: bool = True


def listed(text: str) -> tuple[str, ...]:
    """The parts of "one; two words; three", wherever their lines break."""
    return tuple(" ".join(part.split()) for part in text.split(";") if part.strip())


def _term(name: str, labels: str, nouns: str, phrases: str = "", exclusive: bool = True) -> Term:
    return Term(name, tuple(labels.split()), listed(nouns), listed(phrases), exclusive)


REGIONS = (
    _term(
        "liver",
        "liver",
        "liver; hepatic parenchyma; liver parenchyma; hepatic tissue; liver tissue; hepatic organ; whole liver;"
        " hepar; right and left hepatic lobes; liver lobes; hepatic gland",
        "organ that makes bile; the bile producing organ; large organ in the right upper abdomen;"
        " large organ under the right diaphragm; the largest solid abdominal organ; hepatic; the biggest gland",
    ),
    _term(
        "spleen",
        "spleen",
        "spleen; splenic parenchyma; splenic tissue; lien; spleen tissue; splenic organ; whole spleen",
        "splenic; organ in the left upper quadrant behind the stomach; lymphoid organ under the left ribs;"
        " the organ that filters old blood cells; left upper abdominal lymphoid organ",
    ),
    _term(
        "kidney",
        "kidney_left kidney_right",
        "kidney; kidneys; both kidneys; renal parenchyma; renal tissue; left and right kidneys; kidney pair;"
        " kidney parenchyma; renal organs; nephros; bilateral kidneys; renal cortex and medulla",
        "renal; the organs that make urine; bean shaped organs beside the spine; urine producing organs",
        False,
    ),
    _term(
        "left kidney",
        "kidney_left",
        "left kidney; left renal parenchyma; left sided kidney; kidney on the left; left renal organ",
    ),
    _term(
        "right kidney",
        "kidney_right",
        "right kidney; right renal parenchyma; right sided kidney; kidney on the right; right renal organ",
    ),
    _term(
        "adrenal gland",
        "adrenal",
        "adrenal gland; adrenal glands; adrenals; suprarenal gland; suprarenal glands; adrenal",
    ),
    _term(
        "gallbladder",
        "gallbladder",
        "gallbladder; gall bladder; biliary vesicle; gallbladder lumen; cholecyst",
        "bile sac under the liver; sac that stores bile",
    ),
    _term(
        "stomach",
        "stomach",
        "stomach; gastric lumen and wall; gastric lumen; stomach wall and contents; gastric cavity; gaster;"
        " gastric body; stomach body; whole stomach; gastric tissue",
        "gastric; organ between oesophagus and duodenum; food filled organ in the left upper abdomen;"
        " organ that digests food",
    ),
    _term(
        "pancreas",
        "pancreas",
        "pancreas; pancreatic parenchyma; pancreatic tissue; pancreatic gland; pancreatic head and body",
        "pancreatic; gland that makes insulin",
    ),
    _term("duodenum", "duodenum", "duodenum; duodenal loop; duodenal lumen; duodenal wall", "duodenal"),
    _term(
        "small bowel",
        "small_bowel duodenum",
        "small bowel; small intestine; jejunum and ileum; small bowel loops; jejunal loops; ileum; jejunum",
        "",
        False,
    ),
    _term(
        "colon",
        "colon",
        "colon; large bowel; large intestine; colonic lumen; colon with stool; ascending and descending colon;"
        " transverse colon; colonic loops",
        "colonic",
    ),
    _term(
        "bowel",
        "colon small_bowel duodenum",
        "bowel; intestine; bowel loops; intestines; gut; intestinal loops",
        "intestinal",
        False,
    ),
    _term(
        "aorta",
        "aorta",
        "aorta; aortic lumen; abdominal aorta; descending aorta; thoracic aorta; aortic vessel; main artery;"
        " aortic wall and lumen; aortic cross section; large artery",
        "aortic; largest artery of the body; main artery in front of the spine; the main artery from the heart",
    ),
    _term(
        "inferior vena cava",
        "vena_cava",
        "inferior vena cava; vena cava; ivc; caval vein; inferior caval vein; vena cava inferior",
        "large vein beside the aorta; main vein of the abdomen",
    ),
    _term(
        "portal vein",
        "portal_vein",
        "portal vein; splenic vein; portal venous system; portal and splenic veins; vena portae",
        "portal venous",
    ),
    _term(
        "vertebra",
        "vertebra",
        "vertebra; vertebrae; vertebral body; spine; vertebral column; spinal column; backbone; vertebral bone;"
        " lumbar vertebra; thoracic vertebra; lumbar spine; thoracic spine; vertebral bodies; bony spine;"
        " spinal bones; vertebral bodies and arches",
        "vertebral; bones of the back; the bones that surround the spinal cord",
    ),
    _term(
        "spinal cord",
        "spinal_cord",
        "spinal cord; spinal canal; myelon; medulla spinalis; cord; thecal sac",
        "nervous tissue inside the spine",
    ),
    _term(
        "back muscle",
        "back_muscle",
        "back muscle; back muscles; paraspinal muscle; paraspinal muscles; erector spinae; autochthonous back"
        " muscles; dorsal muscles; paravertebral muscle; deep back muscles",
        "muscles behind the spine",
    ),
    _term("psoas", "psoas", "psoas; psoas muscle; iliopsoas; iliopsoas muscle; psoas major"),
    _term("rib", "rib", "rib; ribs; rib cage; costae; rib bones; costal bone"),
    _term("costal cartilage", "cartilage", "costal cartilage; costal cartilages; rib cartilage"),
    _term(
        "bone",
        "bone vertebra rib",
        "bone; bones; osseous structures; skeleton; bony structures",
        "osseous",
        False,
    ),
    _term("fat", "fat", "fat; adipose tissue; fatty tissue; body fat; subcutaneous and visceral fat", "adipose"),
    _term(
        "lung",
        "lung_left lung_right",
        "lung; lungs; both lungs; lung parenchyma; pulmonary parenchyma; pulmonary tissue; left and right lungs;"
        " lung tissue; bilateral lungs; lung fields; aerated lung",
        "pulmonary; the organs of breathing; air filled organs of the chest",
        False,
    ),
    _term("left lung", "lung_left", "left lung; left pulmonary parenchyma; lung on the left; left sided lung"),
    _term(
        "right lung",
        "lung_right",
        "right lung; right pulmonary parenchyma; lung on the right; right sided lung",
    ),
    _term(
        "heart",
        "heart",
        "heart; cardiac chambers; myocardium; heart muscle; cardiac silhouette; whole heart; heart chambers;"
        " ventricles and atria; cardiac tissue",
        "cardiac; organ that pumps blood",
    ),
    _term(
        "brain",
        " ".join(BRAIN),
        "brain; cerebral tissue; intracranial brain; brain parenchyma; whole brain; brain tissue; cerebrum;"
        " encephalon; cerebral hemispheres; grey and white matter; gray and white matter; brain matter",
        "cerebral; organ inside the skull; the organ of thought; everything inside the cranial vault",
        False,
    ),
    _term("cerebellum", "cerebellum", "cerebellum; cerebellar hemispheres; cerebellar tissue", "cerebellar"),
    _term("hippocampus", "hippocampus", "hippocampus; hippocampi; hippocampal formation", "hippocampal"),
    _term("thalamus", "thalamus", "thalamus; thalami; thalamic nuclei", "thalamic"),
    _term("caudate", "caudate", "caudate nucleus; caudate; caudate nuclei"),
    _term("putamen", "putamen", "putamen; putamina; lentiform nucleus"),
    _term("frontal lobe", "frontal", "frontal lobe; frontal lobes; frontal cortex"),
    _term("temporal lobe", "temporal", "temporal lobe; temporal lobes; temporal cortex"),
    _term("parietal lobe", "parietal", "parietal lobe; parietal lobes; parietal cortex"),
    _term("occipital lobe", "occipital", "occipital lobe; occipital lobes; occipital cortex; visual cortex"),
    _term(
        "skull",
        "skull",
        "skull; skull and scalp; cranium; scalp; cranial bone; calvaria; head outside the brain",
    ),
    _term("background", "air", "background; air; air outside the body; empty background; outside of the patient"),
)
# Image-level terms: no region, only presence.
GLOBALS = (
    _term("ct", "", "computed tomography; ct; ct scan; x-ray computed tomography"),
    _term("mr", "", "magnetic resonance; mri; mr image; magnetic resonance imaging; t1 weighted mri"),
    _term("abdomen", "", "abdomen; upper abdomen; belly; abdominal cavity"),
    _term("chest", "", "chest; thorax; thoracic cavity"),
    _term("head", "", "head; cranial slice"),
    _term("pelvis", "", "pelvis; pelvic cavity; lower abdomen and pelvis"),
)
TERMS = REGIONS + GLOBALS
TERM_INDEX = {term.name: index for index, term in enumerate(TERMS)}
REGION_COUNT = len(REGIONS)


def membership() -> np.ndarray:
    """(labels, terms) float32 matrix: 1 where a label belongs to a term."""
    matrix = np.zeros((len(LABELS), len(TERMS)), np.float32)
    for column, term in enumerate(TERMS):
        for label in term.labels:
            matrix[LABEL_INDEX[label], column] = 1
    return matrix


def settled() -> np.ndarray:
    """(labels, terms) float32 matrix: 1 where a label alone decides about a term, also in a volume not fully labelled.

    Labels exclude each other: what is heart is not liver. Unnamed tissue decides nothing, and bone without a name may
    be a rib.
    """
    matrix = np.zeros((len(LABELS), len(TERMS)), np.float32)
    matrix[:, :REGION_COUNT] = 1
    matrix[[LABEL_INDEX["other"], LABEL_INDEX["soft"]]] = 0
    matrix[LABEL_INDEX["bone"], [TERM_INDEX[name] for name in ("rib", "costal cartilage", "vertebra", "skull")]] = 0
    return matrix
