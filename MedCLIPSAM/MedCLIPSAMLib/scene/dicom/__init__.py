"""DICOM in and out: series of a folder, and DICOM SEG."""
