"""A pump, a patient and a clinician that are not there, and the clock they live by."""
