"""Published models that tell regions of a picture by attention or projection, not by the blocks of a transformer."""

from __future__ import annotations

# Name in the catalogue -> function of a `Checkpoint` and a device, imported when asked for.
REGIONAL = {
    "gloria": f"{__name__}.gloria:load_gloria",
    "medclip-resnet": f"{__name__}.medclip:load_resnet",
    "medclip-swin": f"{__name__}.medclip:load_swin",
    "medklip": f"{__name__}.entities:load_medklip",
    "kad": f"{__name__}.entities:load_kad",
    "lovt": f"{__name__}.lovt:load_lovt",
    "blip": f"{__name__}.blip:load_blip",
    "blip-2": f"{__name__}.blip:load_blip2",
}
