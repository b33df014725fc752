"""What people do to jobs: submit, rerun, cancel, invalidate, archive, rekey."""
