"""Real images that packages carry for tests, and outlines of organs in them, drawn by hand for this project."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from skimage.draw import polygon2mask

ABDOMEN_MM, ABDOMEN_MR_MM = 3 * 0.859375, 2 * 0.7231405
_FILES = {"CT": "explicit_VR-UN.dcm", "MR": "MR-SIEMENS-DICOM-WithOverlays.dcm"}
_PART = {  # rows, columns: every third, of the body and some air; every second
    "CT": (slice(110, 413, 3), slice(75, 441, 3)),
    "MR": (slice(100, 400, 2), slice(0, 484, 2)),
}

# x, y of the corners in pixels of the whole slice, anterior first; 0 is the left or upper edge of the first pixel.
_OUTLINES = {
    "CT": {
        "liver": [
            "192,192 194,203 198,208 202,213 207,218 209,226 208,236 207,245 209,252 211,260 211,267 208,273 204,278"
            " 199,281 193,286 187,292 182,300 177,308 175,316 174,324 172,330 165,334 158,333 151,330 145,326 138,320"
            " 134,315 131,308 130,300 127,291 124,282 122,272 122,262 123,253 126,245 131,236 135,228 140,219 147,210"
            " 153,203 160,197 167,193 175,192 184,191",
            "222,200 230,198 240,195 250,193 258,193 264,194 269,198 272,201 268,206 262,211 254,215 246,218 240,218"
            " 234,215 229,211 225,206",
        ],
        "spleen": [
            "369,268 376,266 383,263 391,262 398,262 403,265 405,271 404,280 402,290 401,300 398,306 393,312 388,320"
            " 381,329 374,336 366,341 358,344 352,342 349,337 348,328 347,315 347,305 348,298 351,294 358,290 365,288"
            " 369,286 366,279 366,273"
        ],
        "left kidney": [
            "302,288 310,289 317,291 323,293 331,292 338,294 343,298 344,303 343,312 342,325 341,338 338,343 330,345"
            " 322,344 313,341 306,336 301,330 299,322 298,312 295,303 294,296 297,290"
        ],
        "right kidney": [
            "203,280 207,284 208,293 210,288 214,284 221,281 228,282 232,286 233,292 231,302 229,315 227,326 222,334"
            " 214,341 205,346 196,347 188,345 181,340 176,334 174,325 175,315 178,306 182,299 187,292 193,286 198,282"
        ],
        "aorta": ["266,266 273,267 279,271 278,276 273,281 267,283 262,282 258,278 256,273 258,269 262,266"],
        "inferior vena cava": [
            "222,267 227,261 233,259 243,259 252,260 257,262 254,268 249,273 245,279 238,281 230,279 226,276 224,271"
        ],
    },
    "MR": {
        "liver": [
            "110,182 118,182 124,187 129,193 135,197 142,199 148,203 156,208 163,212 170,215 176,222 179,232 179,243"
            " 176,252 168,259 158,266 148,268 138,270 127,273 118,276 108,280 100,283 90,287 80,290 72,293 66,295"
            " 61,292 57,287 54,280 53,272 52,260 52,250 54,242 57,234 62,225 68,215 74,206 80,199 86,193 93,188"
            " 102,184"
        ],
        "spleen": [
            "378,220 384,223 390,228 395,234 398,244 398,255 398,264 400,271 400,280 396,288 393,296 391,305 387,314"
            " 382,322 376,327 369,327 363,322 360,314 359,305 360,295 363,287 366,278 366,265 366,250 367,238 370,228"
            " 373,222"
        ],
        "right kidney": [
            "167,288 174,290 180,295 184,302 183,312 181,320 176,329 169,337 160,343 150,348 140,349 132,347 126,340"
            " 121,333 118,327 119,318 123,310 130,302 138,296 148,292 158,289"
        ],
        "left kidney": [
            "315,298 325,298 334,302 342,309 346,319 348,330 347,340 343,347 336,350 329,351 318,348 309,343 301,336"
            " 294,327 290,318 290,312 296,306 303,301 309,299"
        ],
        "aorta": [
            "254.5,255 260,256 265,260 268,267 267,274 264,279 258,282.5 251,281 244,276 241.5,269 243,262 248,257"
        ],
    },
}


def pydicom_data(name: str) -> Path:
    """A file of the package pydicom-data, whatever the version of pydicom."""
    return Path(str(files("data_store"))) / "data" / name


def abdomen_slice(modality: str = "CT") -> np.ndarray:
    """An axial slice through liver, spleen and kidneys; rows from anterior to posterior, columns from right to left.

    CT: (101, 122) int16 Hounsfield units in pixels of `ABDOMEN_MM`. MR: (150, 242) uint16 in pixels of `ABDOMEN_MR_MM`.
    """
    return _whole(modality)[_PART[modality]].copy()


def abdomen_organs(modality: str = "CT") -> dict[str, np.ndarray]:
    """Bool of each organ outlined on `abdomen_slice`, by its name."""
    shape = _whole(modality).shape
    return {
        name: np.any([polygon2mask(shape, _corners(outline)) for outline in outlines], axis=0)[_PART[modality]]
        for name, outlines in _OUTLINES[modality].items()
    }


def _corners(outline: str) -> np.ndarray:
    """(n, 2) row, column, with integers at the centres of pixels."""
    return np.array([pair.split(",")[::-1] for pair in outline.split()], float) - 0.5


@cache
def _whole(modality: str) -> np.ndarray:
    """(H, W), anterior first; the rows of the CT's file run from posterior to anterior."""
    plane = sitk.GetArrayFromImage(sitk.ReadImage(str(pydicom_data(_FILES[modality]))))[0]
    return plane[::-1] if modality == "CT" else plane
