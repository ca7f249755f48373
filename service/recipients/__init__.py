"""People we write to: suppressions, unsubscribing, requests about personal data, retention."""
