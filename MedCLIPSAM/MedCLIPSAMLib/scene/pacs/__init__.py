"""Results as other systems take them, on the frames of the source: DICOM SEG, RT Structure Set, structured report."""
