"""Registration, bias and segmentation with ANTs: arrays in, arrays out, one thread, seeded."""
