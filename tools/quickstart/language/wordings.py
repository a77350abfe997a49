"""How people write an anatomical term: templates, filler words, texts about nothing that was seen."""

from __future__ import annotations

import random

from .descriptions import DOES, describe, describe_elsewhere
from .findings import write_finding
from .terms import Term, listed

# Texts that no training image shows: the answer is "not here" everywhere.
UNSEEN = """
    uterus; bladder; urinary bladder; ovary; ovaries; eye; eyeball; orbit; optic nerve; thyroid; thyroid gland; trachea;
    cyst; abscess; fracture; meniscus; hip joint; humerus; shoulder; tooth; teeth; stent; catheter; pacemaker; implant;
    fetus; placenta; retina; polyp; cat; dog; car; bicycle; tree; house; table; nothing; unknown thing; hello world;
    banana; lymph node; pneumonia; emphysema; aneurysm; thrombus; calcification; cartilage of the knee; ligament;
    tendon; wrist; hand; finger; foot; ankle; elbow; ear; nose; sinus; tongue; appendix; hernia; wall; window; computer;
    river; mountain; music; pneumothorax; consolidation; ground glass opacity; atelectasis; fibrosis; thymus; testis;
    scrotum; penis; vagina; cervix; rectum; anus; ureter; urethra; seminal vesicle; clavicle; scapula; sternum; sacrum;
    coccyx; patella; fibula; forearm; radius; ulna; metacarpal; metatarsal; toe; heel; calf muscle; thigh; quadriceps;
    biceps; deltoid; trapezius; chewing muscle; tonsil; pharynx; epiglottis; submandibular gland; lacrimal gland;
    pituitary; hypothalamus; corpus callosum; optic chiasm; cochlea; mastoid; maxilla; maxillary sinus; nasal cavity;
    coronary artery; pulmonary vein; azygos vein; carotid artery; jugular vein; renal artery; renal vein;
    splenic artery; mesenteric artery; femoral artery; aortic valve; mitral valve; pericardium; diaphragm;
    bronchus; bronchi; skin;
    nipple; lymphoma; carcinoma of the prostate; thyroid cancer; bone metastasis; osteoporosis; arthritis; scoliosis;
    steatosis; cirrhosis; hydronephrosis; kidney stone; appendicitis; diverticulitis; colon cancer; pancreatic cancer;
    gallstone; ascites; free air; endotracheal tube; nasogastric tube; pacemaker lead; sternal wire; hip prosthesis;
    spaceship; football; keyboard; coffee; sandwich; airplane; guitar; carburettor; umbrella; bottle; chair; shoe
"""
UNSEEN_TEXTS = listed(UNSEEN)

TEMPLATES = tuple(
    line.strip()
    for line in """
    {} | the {} | {} | the {} | a {} | an image of the {} | an axial slice showing the {} | a medical image of the {}
    | {} region | segment the {} | segment {} | {} segmentation | a ct slice showing the {} | an mr slice showing {}
    | a computed tomography image of the {} | an axial {} slice | medical image showing {} | {}, axial ct
    | a t1-weighted mri of the {} | this image contains the {} | {} on ct | {} on mri | {} in this scan
    | find the {} | show me the {} | where is the {}? | outline the {} | contour of the {} | delineate {}
    | please segment the {} | please mark the {} | highlight the {} | mask of the {} | the patient's {} | normal {}
    | a scan of the {} | the {} on an abdominal ct | the {} on a {modality} image | {} visible in the slice
    | boundary of the {} | a picture of a {} | radiology image with {} | the entire {} | all of the {} | {} only
    | locate {} | annotate the {} | i want the {} | can you see the {} | healthy {} | enlarged {} | {} with contrast
    | contrast enhanced {} | axial view of the {} | the {} of this patient | a {modality} showing the {}
    | {} in {modality} | volume of the {} | extract the {} | the {} is visible | {} structure
    | the {} area
    | anatomical region: {} | {plane} {modality} of the {} | {plane} slice through the {}
    | {} ({modality}) | {modality} {}
    """.replace("\n", " ").split("|")
)
REQUESTS = ("segment {}", "find {}", "show {}", "where is {}", "outline {}", "please mark {}", "{} on this scan")
_FILLER_TEXT = """
    please now here this that with and on in of for patient scan slice image axial coronal sagittal study exam
    series clear visible shown seen entire complete adult male female human normal clinical diagnostic portal
    venous arterial phase contrast enhanced weighted sequence thin thick high low resolution quality good routine
    whole body anatomical structure organ region area view section level my our their its one single any some
"""
FILLERS = _FILLER_TEXT.split()
MODALITIES = (
    "ct",
    "mri",
    "mr",
    "ct scan",
    "computed tomography",
    "mr scan",
    "t1 mri",
    "t2 mri",
    "magnetic resonance",
)
PLANES = ("axial", "transverse", "cross-sectional", "coronal", "sagittal")
# Wordings kept out of training, for the report on free wording.
HELD_OUT = {
    "liver": (
        "where can I see the liver",
        "liver organ on this tomography",
        "the hepatic region of the patient",
        "draw around the liver for me",
        "Liver, venous phase abdominal CT",
        "outline of hepatic parenchyma please",
        "a transverse section through the liver",
        "the patient has a normal liver",
        "hepatic volume",
        "the gland that produces bile",
    ),
    "spleen": (
        "where can I see the spleen",
        "spleen organ on this tomography",
        "the splenic region of the patient",
        "draw around the spleen for me",
        "Spleen, venous phase abdominal CT",
        "outline of splenic parenchyma please",
        "a transverse section through the spleen",
        "the patient has a normal spleen",
        "splenic volume",
        "lymphoid organ in the left upper abdomen",
    ),
    "kidney": ("the kidney organs", "renal volume", "where can I see the kidneys"),
    "brain tumour": ("intracranial neoplasm", "tumorous mass in the brain", "brain tumour region"),
    "breast lesion": ("nodule in the breast", "suspicious breast finding", "breast neoplasm"),
    "lung tumour": ("lung nodule", "neoplasm of the lung", "cancer in the lung"),
    "liver tumour": ("cancer of the liver", "neoplasm of the liver", "hepatic malignancy"),
    "intracranial haemorrhage": ("brain haemorrhage", "blood in the brain", "bleeding inside the skull"),
    "mandible": ("bone of the lower jaw", "mandible bone", "the jaw"),
    "parotid gland": ("parotid tissue", "salivary gland parotid", "the parotids"),
    "left ventricle": ("left ventricle of the heart", "cavity of the left ventricle"),
    "left atrium": ("left atrium of the heart", "cavity of the left atrium"),
    "intervertebral disc": ("discs of the spine", "intervertebral disk space"),
}

_KEPT = {text.lower() for texts in HELD_OUT.values() for text in texts}


def _letters(rng: random.Random) -> str:
    return "".join(rng.choice("aeioubcdfghklmnprstvxyz") for _ in range(rng.randint(3, 8)))


def write_text(term: Term, rng: random.Random) -> str:
    """A random wording of ``term``, none of those that are kept: a noun in a template, or a phrase, with fillers."""
    text = _write_text(term, rng)
    while text.lower() in _KEPT:
        text = _write_text(term, rng)
    return text


def _write_text(term: Term, rng: random.Random) -> str:
    if term.name in DOES and rng.random() < 0.2:
        text = describe(term.name, rng)
        if rng.random() < 0.3:
            text = rng.choice(REQUESTS).format(text)
    elif term.phrases and rng.random() < 0.2:
        text = rng.choice(term.phrases)
        if rng.random() < 0.3:
            text = "the " + text.removeprefix("the ")
    else:
        text = _in_template(rng.choice(term.nouns[:2] if rng.random() < 0.4 else term.nouns), rng)
    return _with_fillers(text, rng)


def _in_template(noun: str, rng: random.Random) -> str:
    template = rng.choice(TEMPLATES)
    template = template.replace("{modality}", rng.choice(MODALITIES)).replace("{plane}", rng.choice(PLANES))
    return template.format(noun)


def _with_fillers(text: str, rng: random.Random) -> str:
    words = text.split()
    if rng.random() < 0.3:
        for _ in range(rng.randint(1, 4)):
            word = _letters(rng) if rng.random() < 0.25 else rng.choice(FILLERS)
            # Only at the ends, so that a noun of several words stays whole.
            words.insert(rng.choice((0, len(words))), word)
    return " ".join(words)


def slip(text: str, rng: random.Random) -> str:
    """``text`` with a typing mistake in one of its longer words."""
    words = text.split()
    long = [index for index, word in enumerate(words) if len(word) > 3]
    if not long:
        return text
    index = rng.choice(long)
    word, at = words[index], rng.randrange(1, len(words[index]) - 1)
    letter = rng.choice("abcdefghijklmnopqrstuvwxyz")
    words[index] = rng.choice(
        (
            word[:at] + word[at + 1 :],
            word[:at] + word[at] + word[at:],
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
            word[:at] + letter + word[at + 1 :],
        )
    )
    return " ".join(words)


def write_unseen(rng: random.Random) -> str:
    """A text about nothing that the training images show: findings, other anatomy, everyday words, random letters."""
    kind = rng.random()
    if kind < 0.15:
        return describe_elsewhere(rng)
    if kind < 0.6:
        noun = write_finding(rng)
    elif kind < 0.72:
        noun = " ".join(_letters(rng) for _ in range(rng.randint(1, 3)))
    else:
        noun = rng.choice(UNSEEN_TEXTS)
    return _with_fillers(_in_template(noun, rng), rng)
