"""One step per file: reads and writes plain files of a work folder."""
