"""The computer: devices, number formats, memory, temporary files and locks."""
