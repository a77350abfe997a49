"""Published models that tell regions of a picture by attention or projection, not by the blocks of a transformer."""

from __future__ import annotations

# Name in the catalogue -> class, or function, that takes a `Checkpoint` and a device, or raises ModelError.
REGIONAL = {
    "gloria": f"{__name__}.gloria:GLoRIA",
    "medclip-resnet": f"{__name__}.medclip:load_resnet",
    "medclip-swin": f"{__name__}.medclip:load_swin",
    "medklip": f"{__name__}.entities:MedKLIP",
    "kad": f"{__name__}.entities:KAD",
    "lovt": f"{__name__}.lovt:LoVT",
    "blip": f"{__name__}.hub:load_blip",
    "blip-2": f"{__name__}.hub:load_blip2",
}
