"""Whether uncertainty knows where the errors are: does it rank them, and do probabilities mean what they say?"""

from __future__ import annotations

import numpy as np

BINS = 15  # as in Guo et al.


def risk_coverage(doubt: np.ndarray, loss: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean loss of what is kept, the surest first, as more is kept (Geifman & El-Yaniv, arXiv:1705.08500, equation 2).

    What is equally sure comes in together: each of it counts with their mean loss.

    Args:
        doubt: (n,) the higher, the less sure; n is at least 1.
        loss: (n,) what each costs, such as 1 for an error.

    Returns:
        (n,) coverage 1/n, 2/n to 1, and (n,) risk.
    """
    _, tied, counts = np.unique(doubt, return_inverse=True, return_counts=True)
    means = np.bincount(tied, np.asarray(loss, float)) / counts
    kept = np.arange(1, len(tied) + 1)
    return kept / len(tied), np.cumsum(np.repeat(means, counts)) / kept


def area_under_risk_coverage(doubt: np.ndarray, loss: np.ndarray) -> float:
    """Mean of the risk over all coverages, see `risk_coverage`; an order by chance gives the mean loss."""
    return float(risk_coverage(doubt, loss)[1].mean())


def calibration_error(probability: np.ndarray, truth: np.ndarray, bins: int = BINS) -> float:
    """Expected calibration error (Guo et al., arXiv:1706.04599, equation 3), of the probability of yes.

    Args:
        probability: (n,) in 0..1; n is at least 1.
        truth: (n,) bool.
        bins: of equal width.

    Returns:
        Mean distance of the share of yes in a bin from the mean probability there, each bin weighted by what is in it.
    """
    number = np.minimum((np.asarray(probability, float) * bins).astype(int), bins - 1)
    off = np.bincount(number, np.asarray(probability, float) - np.asarray(truth, float))
    return float(np.abs(off).sum() / len(number))
