"""What the pages know of the journal: follower, store, and the questions that can be asked of it."""
