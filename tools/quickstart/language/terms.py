"""Anatomical terms of the quick-start model: which labels each term covers and how people write it."""

from __future__ import annotations

from dataclasses import dataclass

from .labels import BRAIN, CHAMBERS
from .where import WHERE


@dataclass(frozen=True)
class Term:
    """One anatomical term: its labels, its nouns, its free descriptions, and where in the body it can be.

    ``nouns`` are put into templates ("an axial CT showing {}"); ``phrases`` stand alone. Where ``where`` (of
    `PLACES`) has nothing in common with what a picture may show, the term is not in it, whatever is annotated.
    """

    name: str
    labels: tuple[str, ...]
    nouns: tuple[str, ...]
    phrases: tuple[str, ...] = ()
    where: frozenset[str] = frozenset()


def listed(text: str) -> tuple[str, ...]:
    """The parts of "one; two words; three", wherever their lines break."""
    return tuple(" ".join(part.split()) for part in text.split(";") if part.strip())


def _term(name: str, labels: str, nouns: str, phrases: str = "") -> Term:
    return Term(name, tuple(labels.split()), listed(nouns), listed(phrases), WHERE[name])


REGIONS = (
    _term(
        "liver",
        "liver liver_tumour hepatic_vessel",
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
        "kidney_left kidney_right kidney",
        "kidney; kidneys; both kidneys; renal parenchyma; renal tissue; left and right kidneys; kidney pair;"
        " kidney parenchyma; renal organs; nephros; bilateral kidneys; renal cortex and medulla",
        "renal; the organs that make urine; bean shaped organs beside the spine; urine producing organs",
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
        " cervical spine; spinal bones; vertebral bodies and arches",
        "vertebral; bones of the back; the bones that surround the spinal cord",
    ),
    _term(
        "spinal cord",
        "spinal_cord",
        "spinal cord; myelon; medulla spinalis; cord; spinal medulla",
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
        "bone vertebra rib hip mandible knee_bone femur skull",
        "bone; bones; osseous structures; skeleton; bony structures",
        "osseous",
    ),
    _term("fat", "fat", "fat; adipose tissue; fatty tissue; body fat; subcutaneous and visceral fat", "adipose"),
    _term(
        "lung",
        "lung_left lung_right",
        "lung; lungs; both lungs; lung parenchyma; pulmonary parenchyma; pulmonary tissue; left and right lungs;"
        " lung tissue; bilateral lungs; lung fields; aerated lung",
        "pulmonary; the organs of breathing; air filled organs of the chest",
    ),
    _term("left lung", "lung_left", "left lung; left pulmonary parenchyma; lung on the left; left sided lung"),
    _term(
        "right lung",
        "lung_right",
        "right lung; right pulmonary parenchyma; lung on the right; right sided lung",
    ),
    _term(
        "heart",
        " ".join(("heart", *CHAMBERS)),
        "heart; cardiac chambers; cardiac silhouette; whole heart; heart chambers; ventricles and atria;"
        " cardiac tissue",
        "cardiac; organ that pumps blood",
    ),
    _term(
        "brain",
        " ".join(BRAIN),
        "brain; cerebral tissue; intracranial brain; brain parenchyma; whole brain; brain tissue; cerebrum;"
        " encephalon; cerebral hemispheres; brain matter; entire brain",
        "cerebral; organ inside the skull; the organ of thought; everything inside the cranial vault",
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
    _term(
        "esophagus",
        "esophagus",
        "esophagus; oesophagus; gullet; esophageal wall; oesophageal lumen; thoracic esophagus; food pipe",
        "oesophageal; the tube from the throat to the stomach",
    ),
    _term("larynx", "larynx", "larynx; voice box; laryngeal airway; glottis; vocal cords", "laryngeal"),
    _term(
        "mandible",
        "mandible",
        "mandible; lower jaw; lower jaw bone; mandibular bone; jawbone; body of the mandible; jaw bone",
        "the bone that carries the lower teeth",
    ),
    _term(
        "parotid gland",
        "parotid_left parotid_right",
        "parotid gland; parotid glands; parotid; parotids; both parotid glands; parotid salivary gland",
        "the salivary glands in front of the ears",
    ),
    _term("left parotid gland", "parotid_left", "left parotid gland; left parotid; parotid gland on the left"),
    _term("right parotid gland", "parotid_right", "right parotid gland; right parotid; parotid gland on the right"),
    _term(
        "superior vena cava", "superior_vena_cava", "superior vena cava; svc; vena cava superior; superior caval vein"
    ),
    _term(
        "pulmonary artery",
        "pulmonary_artery",
        "pulmonary artery; pulmonary trunk; pulmonary arteries; main pulmonary artery; lung artery",
        "the artery from the heart to the lungs",
    ),
    _term(
        "left ventricle",
        "left_ventricle",
        "left ventricle; left ventricular cavity; lv; lv cavity; left heart ventricle; left ventricular blood pool;"
        " left cardiac ventricle",
    ),
    _term(
        "right ventricle",
        "right_ventricle",
        "right ventricle; right ventricular cavity; rv; rv cavity; right heart ventricle; right ventricular blood pool;"
        " right cardiac ventricle",
    ),
    _term(
        "left atrium",
        "left_atrium",
        "left atrium; left atrial cavity; la cavity; left heart atrium; left auricle; left atrial chamber",
    ),
    _term(
        "right atrium",
        "right_atrium",
        "right atrium; right atrial cavity; ra cavity; right heart atrium; right auricle; right atrial chamber",
    ),
    _term(
        "myocardium",
        "myocardium",
        "myocardium; heart muscle; myocardial wall; left ventricular wall; left ventricular myocardium; cardiac muscle",
        "myocardial; the muscle of the heart",
    ),
    _term("brainstem", "brainstem", "brainstem; brain stem; pons and medulla; midbrain and pons; truncus cerebri"),
    _term("white matter", "white_matter", "white matter; cerebral white matter; brain white matter"),
    _term(
        "grey matter",
        "grey_matter",
        "grey matter; gray matter; cerebral cortex; cortex of the brain; cortical grey matter; brain cortex",
    ),
    _term(
        "lateral ventricle",
        "brain_ventricle",
        "lateral ventricle; lateral ventricles; brain ventricles; cerebral ventricles; ventricular system of the brain",
    ),
    _term(
        "intervertebral disc",
        "disc",
        "intervertebral disc; intervertebral discs; intervertebral disk; disc; discs; spinal discs; vertebral disc;"
        " lumbar discs; disc between the vertebrae",
    ),
    _term(
        "spinal canal",
        "spinal_canal spinal_cord",
        "spinal canal; vertebral canal; thecal sac; dural sac; canal of the spine; lumbar canal",
    ),
    _term("hip bone", "hip", "hip bone; hip bones; pelvic bone; pelvic bones; ilium; iliac bone; innominate bone"),
    _term(
        "gluteal muscle", "gluteus", "gluteal muscle; gluteal muscles; gluteus maximus; gluteus medius; buttock muscle"
    ),
    _term(
        "iliac vessel",
        "iliac_vessel",
        "iliac vessel; iliac vessels; iliac artery; iliac arteries; iliac vein; common iliac artery; iliac veins",
    ),
    _term("quadratus lumborum", "quadratus", "quadratus lumborum; quadratus lumborum muscle"),
    _term("knee bone", "knee_bone femur", "knee bone; knee bones; femur and tibia; femur; tibia; bones of the knee"),
    _term("prostate", "prostate", "prostate; prostate gland; prostatic tissue; whole prostate gland", "prostatic"),
    _term(
        "brain tumour",
        "brain_tumour",
        "brain tumour; brain tumor; glioma; meningioma; glioblastoma; brain neoplasm; intracranial tumor;"
        " intracranial mass; cerebral tumour; brain cancer; low grade glioma; pituitary tumor; pituitary adenoma;"
        " brain mass; tumour of the brain; tumor in the brain; whole tumor of the brain",
    ),
    _term(
        "white matter lesion",
        "white_lesion",
        "white matter lesion; white matter lesions; multiple sclerosis lesion; ms lesions; multiple sclerosis plaques;"
        " demyelinating lesions; white matter hyperintensities",
    ),
    _term(
        "stroke lesion",
        "stroke",
        "stroke lesion; stroke; infarct of the brain; cerebral infarction; ischemic stroke; brain infarct;"
        " ischaemic lesion",
    ),
    _term(
        "intracranial haemorrhage",
        "haemorrhage",
        "intracranial haemorrhage; intracranial hemorrhage; brain bleeding; cerebral haemorrhage;"
        " intracerebral hemorrhage; haematoma in the brain; brain hematoma; subdural haematoma;"
        " epidural hematoma; bleeding in the head;"
        " intracranial bleeding",
    ),
    _term(
        "perihaematomal oedema",
        "oedema",
        "perihaematomal oedema; perihematomal edema; edema around the haematoma; swelling around the bleeding",
    ),
    _term(
        "breast lesion",
        "breast_lesion",
        "breast lesion; breast tumour; breast tumor; breast mass; breast cancer; breast nodule; benign breast lesion;"
        " malignant breast lesion; breast carcinoma; lesion of the breast; tumor in the breast; mass in the breast",
    ),
    _term(
        "lung tumour",
        "lung_tumour",
        "lung tumour; lung tumor; lung cancer; lung mass; pulmonary nodule; pulmonary mass; lung lesion;"
        " bronchial carcinoma; tumour of the lung; pulmonary tumor; lung carcinoma; non small cell lung cancer;"
        " nodule of the lung",
    ),
    _term(
        "liver tumour",
        "liver_tumour",
        "liver tumour; liver tumor; hepatic tumour; liver lesion; liver metastasis; liver metastases; liver mass;"
        " hepatocellular carcinoma; tumour of the liver; hepatic lesion; hepatic metastases; lesion in the liver;"
        " liver carcinoma; focal liver lesion",
    ),
    _term("hepatic vessel", "hepatic_vessel", "hepatic vessel; hepatic vessels; liver vessels; vessels of the liver"),
    _term(
        "pleural effusion",
        "effusion",
        "pleural effusion; pleural fluid; fluid around the lung; effusion; hydrothorax; fluid in the pleural space",
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
    _term("neck", "", "neck; head and neck; cervical region"),
    _term("ultrasound", "", "ultrasound; sonography; ultrasound image; sonogram; us image"),
    _term("x-ray", "", "x-ray; radiograph; plain film; x-ray image; chest x-ray"),
)
TERMS = REGIONS + GLOBALS
TERM_INDEX = {term.name: index for index, term in enumerate(TERMS)}
REGION_COUNT = len(REGIONS)
