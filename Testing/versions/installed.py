"""What an environment of slicer_versions.py does by itself: install our packages, show that 3D Slicer's come first."""

from __future__ import annotations

import re
import sys
from importlib.metadata import packages_distributions, version
from importlib.util import find_spec


def install(requirements: str) -> None:
    """Install what a requirements file asks for, as the panel's button does.

    Raises:
        SystemExit: if something is missing or too old afterwards.
    """
    from MedCLIPSAMLib.scene.packages import install_packages, missing_packages, outdated_packages

    install_packages(missing_packages(requirements))
    if left := missing_packages(requirements) + outdated_packages(requirements):
        sys.exit(f"After the installation there are still missing or too old: {', '.join(left)}")


def show(*pins: str) -> None:
    """Tell the version of each package such as "numpy==2.0.2".

    Raises:
        SystemExit: if one would be imported from elsewhere than this environment.
    """
    modules = packages_distributions()
    for pin in pins:
        name, wanted = pin.split("==")
        found = version(name)
        print(f"{name} {found}" if found == wanted else f"{name} {found}: {wanted} has no wheel for this Python")
        for module in (module for module, owners in modules.items() if _canonical(name) in map(_canonical, owners)):
            spec = find_spec(module)
            if spec and spec.origin and not spec.origin.startswith(sys.prefix):
                sys.exit(f"{module} of {name} would be imported from {spec.origin}")


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    {"install": install, "show": show}[sys.argv[1]](*sys.argv[2:])
