"""Operations on jobs: submit, rerun, cancel, invalidate, archive, rekey."""
