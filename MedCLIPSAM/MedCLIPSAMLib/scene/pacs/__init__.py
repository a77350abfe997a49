"""Results as other systems take them: DICOM SEG, RT Structure Set and structured report, on the frames of the source."""
