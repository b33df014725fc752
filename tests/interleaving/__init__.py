"""Which of several live actors moves next is decided here, and every order that matters is tried."""
