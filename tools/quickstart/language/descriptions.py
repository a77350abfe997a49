"""Descriptions of organs by what they do and where they lie, composed of parts: "the organ which secretes bile"."""

from __future__ import annotations

import random

THINGS = ("organ", "structure", "thing", "part", "body part", "tissue", "one")
SPECIFIC = {
    "liver": ("gland", "large organ", "large gland", "solid organ", "big organ", "abdominal organ"),
    "spleen": ("lymphoid organ", "lymphatic organ", "solid organ", "immune organ", "blood filtering organ"),
    "kidney": ("organs", "paired organs", "excretory organ", "pair", "filtering organ"),
    "stomach": ("hollow organ", "digestive organ", "muscular bag", "pouch", "part of the gut"),
    "pancreas": ("gland", "digestive gland", "long gland", "retroperitoneal gland"),
    "gallbladder": ("small bag", "sac", "pouch", "small organ"),
    "aorta": ("artery", "vessel", "big vessel", "blood vessel", "large artery", "great vessel"),
    "inferior vena cava": ("vein", "big vein", "vessel", "blood vessel", "great vein"),
    "vertebra": ("bone", "bones", "column of bones", "bony structure"),
    "lung": ("organs", "air filled organ", "paired organ", "airy tissue"),
    "heart": ("muscle", "hollow muscle", "pump", "muscular organ"),
    "brain": ("organ", "soft organ", "nervous tissue", "central organ"),
}
# Verb and object apart, so that pairs that were never together can be understood.
MAKES = ("makes", "produces", "secretes", "forms", "creates", "generates")
HOLDS = ("stores", "holds", "keeps", "collects", "contains")
CARRIES = ("carries", "transports", "takes", "leads", "conducts", "brings")
FILTERS = ("filters", "cleans", "purifies", "sieves")
DOES = {
    "liver": (
        (MAKES, ("bile", "bile acids", "gall", "albumin", "clotting factors")),
        (("detoxifies",), ("the blood",)),
    ),
    "spleen": (
        (FILTERS, ("old blood cells", "aged red cells", "worn out red blood cells")),
        (("removes", "destroys", "breaks down"), ("old red cells", "old blood cells", "old platelets")),
    ),
    "kidney": (
        (MAKES, ("urine", "the urine")),
        (FILTERS, ("blood into urine", "waste from the blood", "the blood and make urine")),
    ),
    "stomach": (
        (("digests", "churns", "receives", "takes up"), ("food", "the food", "meals")),
        (MAKES, ("gastric acid", "gastric juice", "stomach acid")),
        (HOLDS, ("the meal", "swallowed food", "food")),
    ),
    "pancreas": ((MAKES, ("insulin", "glucagon", "digestive enzymes", "pancreatic juice")),),
    "gallbladder": ((HOLDS, ("bile", "gall", "the bile", "gallstones")),),
    "aorta": (
        (CARRIES, ("blood from the heart", "oxygen rich blood to the body", "arterial blood down the body")),
        (("leaves",), ("the heart", "the left ventricle")),
    ),
    "inferior vena cava": (
        (CARRIES, ("blood back to the heart", "venous blood from the legs", "venous blood to the right atrium")),
    ),
    "vertebra": (
        (("surrounds", "protects", "encloses"), ("the spinal cord", "the cord")),
        (("carries", "bears", "supports"), ("the trunk", "the body's weight")),
    ),
    "lung": ((("breathes", "takes up", "exchanges"), ("air", "oxygen", "gas")),),
    "heart": ((("pumps", "drives", "moves"), ("blood", "the blood", "blood through the body")),),
    "brain": ((("thinks", "controls", "remembers"), ("", "the body", "thoughts")),),
}
PLACES = {
    "liver": (
        "in the right upper abdomen",
        "under the right ribs",
        "below the right diaphragm",
        "in the right upper quadrant",
    ),
    "spleen": ("under the left ribs", "behind the stomach on the left", "below the left diaphragm"),
    "kidney": ("on both sides of the spine", "beside the psoas muscles", "behind the peritoneum in the flanks"),
    "stomach": ("between oesophagus and duodenum", "below the left diaphragm in front of the spleen"),
    "pancreas": ("behind the stomach", "between duodenum and spleen"),
    "gallbladder": ("under the liver", "at the lower edge of the liver", "beneath the right liver lobe"),
    "aorta": ("in front of the spine", "left of the vena cava", "before the vertebral bodies"),
    "inferior vena cava": ("right of the aorta", "beside the aorta on the right"),
    "vertebra": ("along the middle of the back", "behind the aorta", "of the backbone", "of the spinal column"),
    "lung": ("on both sides of the heart", "in the chest around the heart", "inside the rib cage"),
    "heart": ("between the lungs", "in the middle of the chest", "behind the breastbone"),
    "brain": ("inside the skull", "in the head", "in the cranial cavity"),
}
# The same grammar about what no training image shows, so that "the organ that" alone means nothing.
ELSEWHERE = (
    "{} that sees", "{} that makes thyroid hormone", "{} that hears", "{} which holds the urine",
    "{} that stores urine", "{} that carries the baby", "{} that makes sperm", "{} between the knees", "{} in the foot",
    "{} that makes milk", "{} which tastes", "{} that makes saliva", "{} in the neck", "{} of the arm", "{} that grips",
    "{} which makes tears", "{} in the ear", "{} that flies", "{} on the roof", "{} that makes noise",
    "{} under the table", "{} that grows eggs",
)  # fmt: skip
# Kept out of training, for the report on free wording.
HELD_OUT = ("gland", "produces", "bile")


def _thing(name: str, rng: random.Random) -> str:
    return rng.choice(SPECIFIC[name]) if rng.random() < 0.5 else rng.choice(THINGS)


def describe(name: str, rng: random.Random) -> str:
    """A random description of the term ``name``, one of the keys of `DOES`."""
    thing = _thing(name, rng)
    article = rng.choice(("", "the ", "a ", "the "))
    if rng.random() < 0.35:
        return f"{article}{thing} {rng.choice(PLACES[name])}"
    verbs, objects = rng.choice(DOES[name])
    verb, what = rng.choice(verbs), rng.choice(objects)
    if (thing, verb, what) == HELD_OUT:
        return describe(name, rng)
    return f"{article}{thing} {rng.choice(('that', 'which', 'that'))} {verb} {what}".strip()


def describe_elsewhere(rng: random.Random) -> str:
    """A random description of something that is in no training image."""
    things = THINGS + tuple(thing for specific in SPECIFIC.values() for thing in specific)
    return rng.choice(("", "the ", "a ")) + rng.choice(ELSEWHERE).format(rng.choice(things))
